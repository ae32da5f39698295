// SPDX-License-Identifier: GPL-3.0-or-later
//
// What dataplanes have in common: whose a device is, and errors in the form that the daemon takes.

public import RouterKit

extension NetlinkSocket {
  /// The device of a softwire, of whatever kind; nothing if there is none of this name.
  /// - Throws: ``DataplaneError`` if the device is somebody else's, if no device can have the name, or if the kernel
  ///   cannot be asked.
  public mutating func softwireDevice(named name: String) throws(DataplaneError) -> Link? {
    // “%d” would have the kernel choose a number.
    guard (1...15).contains(name.utf8.count), name != ".", name != "..",
      name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "%") })
    else { throw DataplaneError("“\(name.prefix(32))” cannot be the name of a network device") }
    let link = try DataplaneError.translating { () throws(NetlinkError) in try self.link(named: name) }
    if let link, !link.isRouterds { throw link.isInTheWay }
    return link
  }

  /// Removes the device of a softwire; one that is gone already is as good.
  /// - Throws: ``DataplaneError`` if the kernel refuses.
  public mutating func removeSoftwireDevice(_ link: Link) throws(DataplaneError) {
    do throws(NetlinkError) {
      try deleteLink(link.index)
    } catch {
      guard error.isAlreadyGone else { throw DataplaneError(error.description) }
    }
  }
}

extension Link {
  /// The error for a softwire that cannot have its name because of this device.
  public var isInTheWay: DataplaneError {
    let kind = kind.map { "a device of kind “\($0)”" } ?? "a network card"
    return DataplaneError(
      "the name \(name) is taken by \(kind) that routerd did not make (its alias is not “\(Self.routerdAlias)”); "
        + "choose another name with `device` under [softwire], or remove that device")
  }
}

extension DataplaneError {
  /// Runs `body` and turns an error of netlink into one of a dataplane.
  public static func translating<Value: ~Copyable>(
    _ body: () throws(NetlinkError) -> Value
  ) throws(DataplaneError) -> Value {
    do throws(NetlinkError) {
      return try body()
    } catch {
      throw DataplaneError(error.description)
    }
  }
}
