//! The function library: every `.lua` file of this folder, loaded into Redis as one library whose
//! name, and whose functions' names, end in a digest of its text. So two versions of chinwag run
//! side by side in a rolling upgrade, each with its own functions.

use std::sync::LazyLock;

use ring::digest;

const SOURCES: [&str; 13] = [
    include_str!("functions/fence.lua"),
    include_str!("functions/epoch.lua"),
    include_str!("functions/append.lua"),
    include_str!("functions/room.lua"),
    include_str!("functions/member.lua"),
    include_str!("functions/resume.lua"),
    include_str!("functions/read.lua"),
    include_str!("functions/session.lua"),
    include_str!("functions/order.lua"),
    include_str!("functions/lease.lua"),
    include_str!("functions/mark.lua"),
    include_str!("functions/user.lua"),
    include_str!("functions/moves.lua"),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = digest::digest(&digest::SHA256, SOURCES.concat().as_bytes());
    digest
        .as_ref()
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
});

/// The name of the library.
pub(crate) fn name() -> String {
    format!("chinwag_{}", VERSION.as_str())
}

/// The text for `FUNCTION LOAD`.
pub(crate) fn library() -> String {
    let sources = SOURCES.concat().replace("@V@", VERSION.as_str());
    format!("#!lua name={}\n{sources}", name())
}

/// The name under which Redis knows a function of this library.
pub(crate) fn versioned(name: &str) -> String {
    format!("{name}_{}", VERSION.as_str())
}
