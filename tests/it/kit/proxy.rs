//! A TCP proxy between the service and Asterisk, whose wire the test can cut or freeze.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// What the wire does with new connections and new bytes.
const OPEN: u8 = 0;
const CUT: u8 = 1;
const FROZEN: u8 = 2;

/// The proxy; its threads end with the process.
pub(crate) struct Proxy {
    port: u16,
    wire: Arc<Wire>,
}

struct Wire {
    state: AtomicU8,
    /// Both ends of each connection that was accepted.
    ends: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy in front of this port.
    pub(crate) fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Arc::new(Wire { state: AtomicU8::new(OPEN), ends: Mutex::default() });
        let shared = Arc::clone(&wire);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.accept(client, upstream);
            }
        });
        Self { port, wire }
    }

    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes every connection and each new one at once.
    pub(crate) fn cut(&self) {
        self.wire.state.store(CUT, Ordering::SeqCst);
        self.wire.close_all();
    }

    /// Lets every connection stand, but no byte through.
    pub(crate) fn freeze(&self) {
        self.wire.state.store(FROZEN, Ordering::SeqCst);
    }

    /// Makes it whole again, for new connections; frozen ones are closed.
    pub(crate) fn mend(&self) {
        self.wire.close_all();
        self.wire.state.store(OPEN, Ordering::SeqCst);
    }
}

impl Wire {
    fn close_all(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
    }

    fn accept(self: &Arc<Self>, client: TcpStream, upstream: u16) {
        if self.state.load(Ordering::SeqCst) == CUT {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
        for end in [&client, &server] {
            drop(end.set_nodelay(true));
            self.ends.lock().unwrap().push(end.try_clone().unwrap());
        }
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let wire = Arc::clone(self);
            std::thread::spawn(move || wire.copy(from, to));
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if self.state.load(Ordering::SeqCst) == FROZEN {
                continue;
            }
            if to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
    }
}
