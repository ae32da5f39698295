// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the service manager is told (sd_notify(3)). Outside systemd these calls do nothing.

internal import CSystemd

/// Messages to the service manager.
public enum ServiceManager {
  /// Says that start-up is done.
  public static func notifyReady(status: String) {
    sd_notify(0, "READY=1\nSTATUS=\(oneLine(status))")
  }

  /// Says in a few words what the daemon is doing; `systemctl status` shows it.
  public static func notify(status: String) {
    sd_notify(0, "STATUS=\(oneLine(status))")
  }

  /// Says that the daemon is about to end.
  public static func notifyStopping() {
    sd_notify(0, "STOPPING=1")
  }

  private static func oneLine(_ text: String) -> String {
    String(text.map { $0.isNewline ? " " : $0 })
  }
}
