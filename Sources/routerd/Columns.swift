// SPDX-License-Identifier: GPL-3.0-or-later
//
// Plain aligned columns for people.

/// Prints rows with every column but the last as wide as its widest cell.
func printColumns(_ rows: [[String]]) {
  let count = rows.map(\.count).max() ?? 0
  let widths = (0..<count).map { column in
    rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
  }
  for row in rows {
    var line = ""
    for (column, cell) in row.enumerated() {
      line += cell
      if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
    }
    print(line)
  }
}
