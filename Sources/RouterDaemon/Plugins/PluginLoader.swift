// SPDX-License-Identifier: GPL-3.0-or-later
//
// Loads plugins. Each shared object passes the version gate, a plain C struct, before any of its Swift code runs; a
// plugin that fails is skipped with its reason and harms nobody. Swift code cannot be unloaded: nothing is ever closed,
// and a process loads a folder once.

import CRouterPlugin
import Glibc
public import RouterKit

/// The outcome of loading every plugin of a search path.
public struct PluginSet: Sendable {
  /// Every file that was looked at, in order.
  public let files: [PluginFile]
  /// The plugins that work.
  public let plugins: [Plugin]
  /// Ids that more than one file claims: a start-up error, since nobody can tell which one was meant.
  public let duplicates: [String]

  /// The profiles among the plugins.
  public var profiles: [any ISPProfile] {
    plugins.compactMap { if case .profile(let profile) = $0 { profile } else { nil } }
  }

  /// The dataplanes among the plugins.
  public var dataplanes: [any DataplaneProvider] {
    plugins.compactMap { if case .dataplane(let dataplane) = $0 { dataplane } else { nil } }
  }
}

/// A file in the plugin search path.
public struct PluginFile: Hashable, Sendable {
  /// What became of it.
  public enum State: Hashable, Sendable {
    /// It is in use.
    case loaded
    /// It is not, for this reason.
    case skipped(String)
  }

  /// The path.
  public let path: String
  /// The id of its descriptor, if it has one that could be read.
  public let id: PluginID?
  /// The version of its descriptor.
  public let version: String
  /// What became of it.
  public let state: State
}

/// Loads plugins.
public struct PluginLoader: Sendable {
  private let locator: PluginLocator

  /// Makes a loader for a search path.
  public init(locator: PluginLocator) {
    self.locator = locator
  }

  /// Loads every plugin of the search path.
  public func load() -> PluginSet {
    var files: [PluginFile] = []
    var plugins: [Plugin] = []
    var owners: [PluginID: String] = [:]
    var duplicates: [String] = []
    for path in locator.sharedObjects() {
      if let problem = SharedObjectFile.problem(path) {
        files.append(PluginFile(path: path, id: nil, version: "", state: .skipped(problem)))
        continue
      }
      guard !Self.isPartOfHost(path) else { continue }
      let descriptor: Descriptor
      do {
        descriptor = try Self.open(path)
      } catch {
        files.append(PluginFile(path: path, id: error.id, version: error.version, state: .skipped(error.reason)))
        continue
      }
      var state = PluginFile.State.loaded
      if let owner = owners[descriptor.id] {
        let reason = "the id \(descriptor.id) belongs to \(owner) already; remove one of the two"
        state = .skipped(reason)
        duplicates.append("\(path): \(reason)")
      } else {
        do {
          plugins.append(try register(descriptor, path))
          owners[descriptor.id] = path
        } catch {
          state = .skipped(error.description)
        }
      }
      files.append(PluginFile(path: path, id: descriptor.id, version: descriptor.version, state: state))
    }
    return PluginSet(files: files, plugins: plugins, duplicates: duplicates)
  }

  /// In a build tree the SDK's own library lies beside the plugins; it is loaded already, as no plugin is.
  private static func isPartOfHost(_ path: String) -> Bool {
    guard let handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD) else { return false }
    let isPlugin = dlsym(handle, ROUTERD_PLUGIN_DESCRIPTOR_SYMBOL) != nil
    dlclose(handle)
    return !isPlugin
  }

  private struct Descriptor {
    let id: PluginID
    let version: String
    let main: routerd_plugin_main_function
  }

  private struct Refusal: Error {
    var id: PluginID?
    var version = ""
    let reason: String
  }

  /// Opens a shared object and passes it through the gate. Binding is lazy so that a plugin which needs functions that
  /// this SDK no longer has can still be opened far enough to tell its version.
  private static func open(_ path: String) throws(Refusal) -> Descriptor {
    guard let handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL) else {
      throw Refusal(reason: "it cannot be opened: \(dlerror().map { String(cString: $0) } ?? "no reason given")")
    }
    guard let symbol = dlsym(handle, ROUTERD_PLUGIN_DESCRIPTOR_SYMBOL) else {
      throw Refusal(reason: "it is no routerd plugin: it does not export \(ROUTERD_PLUGIN_DESCRIPTOR_SYMBOL)")
    }
    let descriptor = symbol.assumingMemoryBound(to: routerd_plugin_descriptor.self).pointee
    // Only the first four fields are read until the magic number and the version say that the others are there.
    guard descriptor.magic == ROUTERD_PLUGIN_MAGIC else {
      throw Refusal(reason: "it is no routerd plugin: its descriptor is not one")
    }
    guard descriptor.api_major == ROUTERD_PLUGIN_API_MAJOR, descriptor.api_minor <= ROUTERD_PLUGIN_API_MINOR else {
      throw Refusal(
        reason: "it was built for plugin API \(descriptor.api_major).\(descriptor.api_minor), this routerd has "
          + "\(ROUTERD_PLUGIN_API_MAJOR).\(ROUTERD_PLUGIN_API_MINOR); build it against this version's SDK")
    }
    guard descriptor.size >= UInt32(MemoryLayout<routerd_plugin_descriptor>.size), let id = descriptor.id,
      let version = descriptor.version, let compiler = descriptor.compiler
    else {
      throw Refusal(reason: "its descriptor is incomplete")
    }
    let versionText = String(cString: version)
    let pluginID = PluginID(String(cString: id))
    guard let pluginID else {
      throw Refusal(version: versionText, reason: "“\(String(cString: id))” is no plugin id, which is like isp.nuro")
    }
    let ours = String(cString: routerd_sdk_compiler())
    guard String(cString: compiler) == ours else {
      throw Refusal(
        id: pluginID, version: versionText,
        reason: "it was built by another compiler (\(String(cString: compiler))) than this routerd (\(ours))")
    }
    guard let main = dlsym(handle, ROUTERD_PLUGIN_MAIN_SYMBOL) else {
      throw Refusal(
        id: pluginID, version: versionText, reason: "it has no entry: it does not export \(ROUTERD_PLUGIN_MAIN_SYMBOL)")
    }
    return Descriptor(
      id: pluginID, version: versionText, main: unsafeBitCast(main, to: routerd_plugin_main_function.self))
  }

  private func register(_ descriptor: Descriptor, _ path: String) throws(PluginError) -> Plugin {
    let dataFile = locator.dataFile(of: path)
    let registrar = PluginRegistrar(id: descriptor.id) { () throws(PluginError) in
      do throws(FileError) {
        return try FileSystem.read(dataFile, limit: 4 << 20)
      } catch {
        throw PluginError(error.description)
      }
    }
    descriptor.main(Unmanaged.passUnretained(registrar).toOpaque())
    return try registrar.finish()
  }
}
