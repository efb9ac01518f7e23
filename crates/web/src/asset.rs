use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use bytes::Bytes;

/// One file of the page, as it is to be sent. Cloning shares the contents.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The whole file.
    pub body: Bytes,
    /// For the `content-type` header.
    pub content_type: &'static str,
    /// For the `etag` header, quotes included; the same as long as the contents are.
    pub etag: Bytes,
}

/// The file at this path of the address, with its leading slash; `/` is the page itself. `None` for any other path.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let path = if path == "/" { "/index.html" } else { path };
    let index = ASSETS
        .binary_search_by_key(&path, |(known, _)| known)
        .ok()?;
    Some(ASSETS[index].1.clone())
}

/// Sorted by path.
static ASSETS: LazyLock<Vec<(&'static str, Asset)>> = LazyLock::new(|| {
    let mut assets: Vec<_> = FILES
        .iter()
        .map(|&(path, body)| (path, describe(path, body)))
        .collect();
    assets.sort_by_key(|&(path, _)| path);
    assets
});

fn describe(path: &'static str, body: &'static [u8]) -> Asset {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    Asset {
        body: Bytes::from_static(body),
        content_type: content_type(path),
        etag: Bytes::from(format!("\"{:016x}\"", hasher.finish())),
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

macro_rules! embed {
    ($($path:literal)*) => {
        &[$((concat!("/", $path), include_bytes!(concat!("../assets/", $path)))),*]
    };
}

const FILES: &[(&str, &[u8])] = embed! {
    "index.html"
    "icon.svg"
    "style.css"
    "style/layout.css"
    "style/rooms.css"
    "style/conversation.css"
    "style/dialogs.css"
    "chinwag.js"
    "client/accounts.js"
    "client/backoff.js"
    "client/emitter.js"
    "client/failure.js"
    "client/feed.js"
    "client/identifier.js"
    "client/link.js"
    "client/outbox.js"
    "client/sequence.js"
    "client/types.js"
    "client/wire.js"
    "page/account.js"
    "page/announcer.js"
    "page/asks.js"
    "page/banner.js"
    "page/browse.js"
    "page/chat.js"
    "page/composer.js"
    "page/conversation.js"
    "page/dialogs.js"
    "page/directory.js"
    "page/dom.js"
    "page/lines.js"
    "page/links.js"
    "page/main.js"
    "page/message-list.js"
    "page/message-row.js"
    "page/people.js"
    "page/reader.js"
    "page/room-header.js"
    "page/room-list.js"
    "page/rooms.js"
    "page/roving.js"
    "page/session.js"
    "page/theme.js"
    "page/timeline.js"
    "page/unread.js"
    "page/unsent.js"
    "page/welcome.js"
    "page/when.js"
    "page/words.js"
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files_under(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("the folder can be read") {
            let entry = entry.expect("the folder can be read");
            let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                files_under(&entry.path(), &path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_is_embedded() {
        let mut found = BTreeSet::new();
        files_under(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"),
            "",
            &mut found,
        );
        let embedded: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(embedded, found);
    }

    #[test]
    fn every_file_is_found_and_typed() {
        for (path, body) in FILES {
            let asset = asset(path).expect("it is listed");
            assert_eq!(asset.body, *body);
            assert_ne!(asset.content_type, "application/octet-stream", "{path}");
            assert_eq!(asset.etag.len(), 18);
        }
        assert_eq!(
            asset("/").expect("the page").body,
            asset("/index.html").expect("the page").body
        );
    }

    #[test]
    fn nothing_else_is_found() {
        for path in [
            "",
            "index.html",
            "//",
            "/page",
            "/page/",
            "/page/../index.html",
            "/INDEX.HTML",
            "/index.html ",
        ] {
            assert!(asset(path).is_none(), "{path}");
        }
    }

    /// Markup that brings script or style along would be refused by the policy, silently for the reader.
    #[test]
    fn the_page_has_nothing_inline() {
        let page = String::from_utf8(asset("/").expect("the page").body.to_vec())
            .expect("the page is text");
        assert!(
            !page.contains("<style") && !page.contains(" style=") && !page.contains("javascript:")
        );
        for script in page.split("<script").skip(1) {
            assert!(
                script.contains("src=\"/") && script.contains("></script>"),
                "{script}"
            );
        }
        let handlers = page
            .split_whitespace()
            .filter(|word| word.starts_with("on") && word.contains('='));
        assert_eq!(handlers.count(), 0);
    }
}
