//! A TCP proxy in front of several servers, as a load balancer stands: each connection goes to the
//! first that accepts it.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result};

use crate::process::Process;

/// A listening proxy. It ends with the test's process.
pub struct Proxy {
    address: SocketAddr,
}

impl Proxy {
    /// A proxy in front of gateways, the first of which is preferred.
    ///
    /// # Errors
    /// If there is no port.
    pub fn before(gateways: &[&Process]) -> Result<Self> {
        let servers: Vec<String> = gateways
            .iter()
            .filter_map(|gateway| gateway.public.as_deref()?.strip_prefix("http://"))
            .map(ToOwned::to_owned)
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").context("bind a proxy")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                if let Some(server) = servers.iter().find_map(|at| TcpStream::connect(at).ok()) {
                    join(&client, &server);
                }
            }
        });
        Ok(Self { address })
    }

    /// Where clients open sockets.
    #[must_use]
    pub fn socket(&self) -> String {
        format!("ws://{}/connection/websocket", self.address)
    }
}

fn join(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        if let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) {
            std::thread::spawn(move || {
                // Either side may break; the other is told by the end of its stream.
                drop(io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Both));
                drop(from.shutdown(Shutdown::Both));
            });
        }
    }
}
