//! The shapes of traffic.

use clap::ValueEnum;
use serde::Serialize;

/// A shape of traffic, the same for every server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// One room of 1000, one of whom sends; 16 outstanding
    S1,
    /// The same, one at a time
    S1w1,
    /// 100 rooms of 10, one of whom sends; 4 outstanding each
    S2,
    /// 1000 rooms of 2, both of whom send; one outstanding each
    S3,
    /// As s1, at 10 messages a second
    S1o,
    /// As s2, at 1000 messages a second
    S2o,
    /// As s3, at 2000 messages a second
    S3o,
    /// Connections that say nothing, each in three rooms: memory and time of each
    Idle,
    /// Everybody comes back at one moment, and wants what was missed
    Resume,
    /// Pages of old messages, one after the other
    History,
}

/// How large a shape is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Size {
    /// Rooms.
    pub rooms: usize,
    /// Members of each, each with a connection of their own.
    pub members: usize,
    /// How many of them send.
    pub senders: usize,
    /// Messages that each sender has outstanding, if there is no rate.
    pub window: usize,
    /// Messages a second over all senders, whatever becomes of them.
    pub rate: Option<f64>,
}

impl Shape {
    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S1 => "s1",
            Self::S1w1 => "s1w1",
            Self::S2 => "s2",
            Self::S3 => "s3",
            Self::S1o => "s1o",
            Self::S2o => "s2o",
            Self::S3o => "s3o",
            Self::Idle => "idle",
            Self::Resume => "resume",
            Self::History => "history",
        }
    }

    /// How large it is, if it is a matter of rooms and senders.
    #[must_use]
    pub fn size(self) -> Size {
        let (rooms, members, senders, window) = match self {
            Self::S1 => (1, 1000, 1, 16),
            Self::S1w1 | Self::S1o => (1, 1000, 1, 1),
            Self::S2 | Self::S2o => (100, 10, 1, 4),
            Self::S3 | Self::S3o => (1000, 2, 2, 1),
            Self::Idle | Self::Resume | Self::History => (1, 1, 1, 1),
        };
        let rate = match self {
            Self::S1o => Some(10.0),
            Self::S2o => Some(1000.0),
            Self::S3o => Some(2000.0),
            _ => None,
        };
        Size {
            rooms,
            members,
            senders,
            window,
            rate,
        }
    }
}

impl Size {
    /// All connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.rooms * self.members
    }
}
