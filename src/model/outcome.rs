//! What became of a call, in the words that the database and the API use.

/// Makes an enum whose variants have one fixed text each, in the database and in the API.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for it in the database and the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A call's state while it lives, and its outcome afterwards.
    Status {
        /// Lives, and nobody has taken it.
        Ringing = "ringing",
        /// Lives, and a person or a machine has taken it.
        Active = "active",
        /// Was taken (by whom: `answered_kind`).
        Answered = "answered",
        /// Nobody took it in the time that the dialplan gave.
        NoAnswer = "no_answer",
        /// The callee was busy (Q.850 cause 17).
        Busy = "busy",
        /// The caller gave up before anybody took it.
        Abandoned = "abandoned",
        /// The callee refused it (Q.850 cause 21).
        Rejected = "rejected",
        /// It could not be put through.
        Failed = "failed",
    }
}

words! {
    /// Who took a call that was taken.
    AnsweredKind {
        /// A person at a phone.
        Person = "person",
        /// A voicemail box.
        Voicemail = "voicemail",
        /// A queue, a menu, an announcement: a machine.
        System = "system",
    }
}

words! {
    /// Who ended a call.
    EndedBy {
        /// The caller hung up.
        Caller = "caller",
        /// The called side hung up.
        Callee = "callee",
        /// The dialplan, this program or Asterisk ended it.
        System = "system",
    }
}

words! {
    /// Where a call came from and went to, seen from the company.
    Direction {
        /// From a trunk.
        Inbound = "inbound",
        /// To a trunk.
        Outbound = "outbound",
        /// Between the company's own phones.
        Internal = "internal",
    }
}
