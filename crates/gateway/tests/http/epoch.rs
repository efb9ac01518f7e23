//! Redis has been started, and everybody comes at once.

use chinwag_protocol::id::RoomId;
use chinwag_protocol::position::Position;
use futures_util::future::join_all;

use crate::support::Server;

#[tokio::test]
async fn a_crowd_moves_each_partition_into_one_epoch() {
    let server = Server::start().await;
    let names = (0..100).map(|n| format!("lobby-{n}"));
    let rooms: Vec<RoomId> = names.map(|name| RoomId::new(name).unwrap()).collect();
    let (backend, store) = (&server.backend, &server.backend.store);
    let ask = async |room: &RoomId| {
        let partition = store.keys().of_room(room);
        let resume = || store.resume(room, Position::default(), 0);
        backend.fenced(partition, resume).await.unwrap();
        store.epoch(partition).await.unwrap()
    };
    let epochs = join_all(rooms.iter().map(ask)).await;
    assert_eq!(epochs, [1; 100]);
}
