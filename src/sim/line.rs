//! The network before the simulated Asterisk: a TCP forwarder on 127.0.0.1 that tests can break.
//!
//! What a network does to a connection (abort, silence, refusal) happens here; what Asterisk does (errors, close
//! frames) happens behind it. Nothing is changed on the way.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is wrong with the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Raised by one to abort all connections.
    pub aborts: u64,
    /// Nothing passes, in either direction; connections stay.
    pub frozen: bool,
    /// Nobody listens at the port; connections stay.
    pub refusing: bool,
}

/// Listens at the port given, 0 for a free one.
pub(super) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Forwards every connection of `listener` to `inner`, until the sender of `trouble` is dropped.
pub(super) async fn run(listener: TcpListener, inner: SocketAddr, mut trouble: watch::Receiver<Trouble>) {
    let Ok(own) = listener.local_addr() else { return };
    let mut listener = Some(listener);
    loop {
        if trouble.borrow_and_update().refusing {
            listener = None;
        } else if listener.is_none() {
            listener = listen(own.port()).await.ok();
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await.map(|(stream, _)| stream),
                // Refusing, or the port could not be had again: look once more soon.
                None => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Err(std::io::ErrorKind::WouldBlock.into())
                }
            }
        };
        tokio::select! {
            changed = trouble.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            accepted = accept => {
                if let Ok(stream) = accepted {
                    actix_web::rt::spawn(forward(stream, inner, trouble.clone()));
                }
            }
        }
    }
}

/// Forwards one connection until both its directions have ended, or it is aborted.
async fn forward(mut outer: TcpStream, inner: SocketAddr, mut trouble: watch::Receiver<Trouble>) {
    let Ok(mut inner) = TcpStream::connect(inner).await else { return };
    // Small frames go at once.
    let _ = (outer.set_nodelay(true), inner.set_nodelay(true));
    let aborts = trouble.borrow_and_update().aborts;
    let (to_client, to_server) = (trouble.clone(), trouble.clone());
    let (outer_read, outer_write) = outer.split();
    let (inner_read, inner_write) = inner.split();
    let both =
        async { tokio::join!(pump(outer_read, inner_write, to_server), pump(inner_read, outer_write, to_client)) };
    let aborted = tokio::select! {
        _ = both => false,
        _ = trouble.wait_for(|t| t.aborts != aborts) => true,
    };
    if aborted {
        // The client gets a reset, as from a machine that has lost its connections.
        let _ = outer.set_zero_linger();
    }
}

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut trouble: watch::Receiver<Trouble>) {
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        if trouble.wait_for(|t| !t.frozen).await.is_err() {
            return;
        }
        let Ok(read) = from.read(&mut buffer).await else { break };
        if read == 0 || trouble.wait_for(|t| !t.frozen).await.is_err() {
            break;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
