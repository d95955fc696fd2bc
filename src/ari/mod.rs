//! Asterisk's language: events, requests and their outcomes, and the journal's lines. Pure.

pub mod bodies;
pub mod entry;
pub mod event;
pub mod objects;
pub mod outcome;
pub mod request;
pub mod socket_rest;
mod whole;
