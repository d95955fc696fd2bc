//! Parameters of which each value is one word.

use crate::routing::read::choices;

choices! {
    /// In which order `dial` calls its targets.
    Strategy {
        /// All at once; who answers first has the call.
        All = "all",
        /// One after the other, as listed.
        InOrder = "in_order",
        /// One after the other; each call begins with the one behind the last call's first.
        RoundRobin = "round_robin",
        /// One after the other, whose last talk is longest ago first.
        LeastRecent = "least_recent",
    }
}

choices! {
    /// What the caller hears while `dial` rings.
    Hear {
        /// Ringing.
        Ringing = "ringing",
        /// Music on hold.
        Music = "music",
        /// What the callee's side sends before it answers; ringing until then.
        EarlyMedia = "early_media",
    }
}

choices! {
    /// What `record` records.
    RecordKind {
        /// The call, both sides, until it ends or `limit` is over; the next step begins at once.
        Call = "call",
        /// What the caller says; the next step begins when that is over.
        Message = "message",
    }
}

choices! {
    /// The file format of a recording, by the name that Asterisk has for it.
    RecordFormat {
        /// PCM, 16 bit, 8 kHz.
        Wav = "wav",
        /// PCM, 16 bit, 16 kHz.
        Wav16 = "wav16",
        /// GSM inside of a WAV file.
        Wav49 = "wav49",
        /// GSM.
        Gsm = "gsm",
        /// G.711 µ-law.
        Ulaw = "ulaw",
        /// G.711 A-law.
        Alaw = "alaw",
        /// G.722.
        G722 = "g722",
        /// Raw PCM, 16 bit, 8 kHz.
        Sln = "sln",
    }
}

choices! {
    /// The key that ends a recording of the caller (ARI's `terminateOn`).
    StopKey {
        /// None.
        None = "none",
        /// Any.
        Any = "any",
        /// `*`.
        Star = "*",
        /// `#`.
        Hash = "#",
    }
}

choices! {
    /// How `say` says its text.
    SayAs {
        /// `12` is twelve.
        Number = "number",
        /// `12` is one, two.
        Digits = "digits",
        /// Letter by letter.
        Characters = "characters",
    }
}

choices! {
    /// What of the call a webhook is told when it happens.
    StatusEvent {
        /// A step ended, with its outcome.
        Step = "step",
        /// A phone rings.
        Ringing = "ringing",
        /// Somebody answered.
        Answered = "answered",
        /// A recording is ready.
        Recorded = "recorded",
        /// The call ended.
        Ended = "ended",
    }
}
