//! A way to an actor that may be replaced by a fresh one.

use std::sync::{Arc, PoisonError, RwLock};

use actix::prelude::*;

/// The address of an actor that its supervisor replaces when it fails; those who hold the link reach the new one.
pub struct Link<A: Actor>(Arc<RwLock<Addr<A>>>);

impl<A: Actor> Clone for Link<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Actor> Link<A> {
    /// A link to this actor.
    pub fn new(actor: Addr<A>) -> Self {
        Self(Arc::new(RwLock::new(actor)))
    }

    /// The actor of now.
    pub fn get(&self) -> Addr<A> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this one.
    pub fn replace(&self, actor: Addr<A>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = actor;
    }
}
