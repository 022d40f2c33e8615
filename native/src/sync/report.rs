//! What a synchroniser tells: what became of a push, why a message left, how it stands.

/// What became of one push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PushOutcome {
    /// Buffered.
    Accepted,
    /// Refused: not newer than the last group.
    Late,
    /// Refused: not newer than the one before on its topic.
    OutOfOrder,
    /// Refused: the buffer is full, and the policy is to reject.
    Full,
    /// Refused: no such topic.
    UnknownTopic,
    /// The topic's clock went backwards. Buffered as the first of the new clock, unless the option
    /// is to refuse.
    ClockJump,
}

/// Why a message left without a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// No group within the window can have it, or a better one was found.
    Unmatched,
    /// A buffer was full.
    Full,
    /// Older than the timeout.
    Timeout,
    /// A later message with the same stamp took its place.
    Replaced,
    /// A clock went backwards.
    ClockJump,
    /// The synchroniser was reset.
    Reset,
    /// The input ended.
    Flush,
    /// Refused: see [`PushOutcome::Late`].
    Late,
    /// Refused: see [`PushOutcome::OutOfOrder`].
    OutOfOrder,
    /// Refused: see [`PushOutcome::UnknownTopic`].
    UnknownTopic,
}

/// How many reasons there are.
pub const REASONS: usize = Reason::UnknownTopic as usize + 1;

impl PushOutcome {
    /// In the order of their numbers.
    pub const ALL: [PushOutcome; 6] =
        [Self::Accepted, Self::Late, Self::OutOfOrder, Self::Full, Self::UnknownTopic, Self::ClockJump];

    /// The name by which people and flows know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Late => "late",
            Self::OutOfOrder => "out-of-order",
            Self::Full => "full",
            Self::UnknownTopic => "unknown-topic",
            Self::ClockJump => "clock-jump",
        }
    }
}

impl Reason {
    /// In the order of their numbers.
    pub const ALL: [Reason; REASONS] = [
        Self::Unmatched,
        Self::Full,
        Self::Timeout,
        Self::Replaced,
        Self::ClockJump,
        Self::Reset,
        Self::Flush,
        Self::Late,
        Self::OutOfOrder,
        Self::UnknownTopic,
    ];

    /// The name by which people and flows know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unmatched => "unmatched",
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::Replaced => "replaced",
            Self::ClockJump => "clock-jump",
            Self::Reset => "reset",
            Self::Flush => "flush",
            Self::Late => "late",
            Self::OutOfOrder => "out-of-order",
            Self::UnknownTopic => "unknown-topic",
        }
    }
}

impl Blocked {
    /// The name by which people and flows know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "ready",
            Self::WaitingForData => "waiting-for-data",
            Self::SpreadTooNarrow => "spread-too-narrow",
            Self::BufferFull => "buffer-full",
        }
    }
}

/// A push's outcome, and whether its slot is now the synchroniser's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// What became of it.
    pub outcome: PushOutcome,
    /// False: the slot was not taken and will not be handed back.
    pub kept: bool,
}

/// A slot that left without a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The slot that came with the push.
    pub slot: u32,
    /// Why it left.
    pub reason: Reason,
}

/// What keeps the next group from leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Nothing: a group is ready to be taken.
    No,
    /// Required topics have nothing buffered.
    WaitingForData,
    /// All have, but a later message could still improve the group.
    SpreadTooNarrow,
    /// A buffer is full, and others have nothing that matches.
    BufferFull,
}

/// Why no group leaves, and how far the streams are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchStatus {
    /// What keeps the next group from leaving.
    pub blocked: Blocked,
    /// The topics that it waits for (indices, ascending).
    pub topics: Vec<u32>,
    /// The latest of the oldest buffered stamps, when every required topic has one.
    pub inf: Option<i64>,
    /// The earliest of the newest buffered stamps, when every required topic has one.
    pub sup: Option<i64>,
    /// How much `sup` has to grow until nothing within the window can come any more; 0: it need not.
    pub shortfall: i64,
}

/// Counters since construction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Messages pushed, refused ones included.
    pub received: u64,
    /// Messages that left in groups.
    pub grouped: u64,
    /// Messages that left without a group, by [`Reason`].
    pub dropped: [u64; REASONS],
    /// Groups taken.
    pub groups: u64,
    /// Messages held now.
    pub buffered: u64,
    /// Clock jumps seen, forward ones included.
    pub clock_jumps: u64,
    /// The topic (index) whose clock jumped last.
    pub last_jump: Option<u32>,
    /// Mean spread of the groups taken, ns.
    pub mean_skew: f64,
    /// Largest spread of the groups taken, ns.
    pub max_skew: i64,
}
