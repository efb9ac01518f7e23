//! The page around the parts of a report: its head and its style.

use super::plot::escape;

const STYLE: &str = include_str!("report.css");

/// A whole page.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><main>\n{body}</main></body></html>\n"
    )
}

/// A table: its head, and rows of cells that are HTML already.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = String::from("<div class=\"wide\"><table>");
    if !head.is_empty() {
        let cells: String = head.iter().map(|cell| format!("<th>{cell}</th>")).collect();
        table.push_str(&format!("<thead><tr>{cells}</tr></thead>"));
    }
    table.push_str("<tbody>");
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        table.push_str(&format!("<tr>{cells}</tr>\n"));
    }
    table.push_str("</tbody></table></div>");
    table
}
