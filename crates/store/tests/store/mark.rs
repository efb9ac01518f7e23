//! What is archived, and who hears of it.

use chinwag_protocol::position::Position;
use chinwag_store::channel::Heard;
use chinwag_store::mark::Fate;

use crate::support::{CHANNEL, append, process, room, says, store};

/// A gateway hears up to where rooms are archived, each partition's in one piece; a mark that
/// comes late does not take back a later one.
#[tokio::test]
async fn a_gateway_hears_what_is_archived() {
    let (_redis, store) = store().await;
    let lobby = room("lobby");
    let mut listener = store.listen(16).await.unwrap();
    let mut ear = listener.ear();
    ear.join_as_gateway(&process("one")).await.unwrap();
    for _ in 0..20 {
        append(&store, says(&lobby, CHANNEL, "ann", "", "x"), (0, 0)).await;
    }
    for seq in [18, 12] {
        let told = vec![(lobby.clone(), Position::new(1, seq))];
        store.mark_archived(&told).await.unwrap();
        let Some(Heard::Archived(heard)) = listener.heard.recv().await else {
            panic!("nothing was heard")
        };
        assert_eq!(heard, told);
    }
    let places = [
        (lobby.clone(), Position::new(1, 18)),
        (lobby, Position::new(1, 19)),
    ];
    let fates = store.fates(&places).await.unwrap();
    assert_eq!(fates, [Fate::Archived, Fate::Waits]);
}
