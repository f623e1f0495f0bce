//! Connections of browsers: how many there may be, and encrypted where a certificate is configured.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_server::accept::Accept;
use axum_server::{Handle, Server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server_tls::ServerTls;

/// Connections at once. More are closed: files that they would take are those of scanners.
const MOST_CONNECTIONS: usize = 512;

/// How long a handshake, the first request, or the head of any request may take.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Requests at once on one connection of HTTP/2: a page asks for a hundred pictures.
const MOST_STREAMS: u32 = 128;

/// A connection that has gone without a word is noticed after this.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Serves a router until `stop` says until when requests may go on.
///
/// # Errors
/// If the listener fails.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    router: axum::Router,
    mut stop: watch::Receiver<Option<Instant>>,
) -> io::Result<()> {
    let handle = Handle::new();
    let acceptor = Acceptor { tls, places: Arc::new(Semaphore::new(MOST_CONNECTIONS)) };
    let mut server = Server::<SocketAddr>::from_listener(listener)
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(HEAD_LIMIT);
    let builder = server.http_builder();
    builder.http1().header_read_timeout(HEAD_LIMIT);
    builder.http2().max_concurrent_streams(MOST_STREAMS).keep_alive_interval(PING_EVERY);
    let serving = server.serve(router.into_make_service_with_connect_info::<SocketAddr>());
    tokio::pin!(serving);
    tokio::select! {
        outcome = &mut serving => return outcome,
        until = stop.wait_for(Option::is_some) => {
            // A sender that is gone means the same as a stop.
            let until = until.ok().and_then(|until| *until).unwrap_or_else(Instant::now);
            handle.graceful_shutdown(Some(until.saturating_duration_since(Instant::now())));
        }
    }
    serving.await
}

/// Takes connections, as many as there are places.
#[derive(Clone)]
struct Acceptor {
    tls: Option<Arc<ServerTls>>,
    places: Arc<Semaphore>,
}

impl<S: Send + 'static> Accept<TcpStream, S> for Acceptor {
    type Stream = Connection;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Connection, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let (tls, place) = (self.tls.clone(), self.places.clone().try_acquire_owned());
        Box::pin(async move {
            let place = place.map_err(|_| io::Error::other("too many connections"))?;
            stream.set_nodelay(true)?;
            let stream = match tls {
                None => Stream::Clear(stream),
                Some(tls) => {
                    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
                    let encrypted = tokio::time::timeout(HEAD_LIMIT, handshake).await;
                    Stream::Encrypted(Box::new(encrypted.map_err(io::Error::other)??))
                }
            };
            Ok((Connection { stream, _place: place }, service))
        })
    }
}

/// A connection and the place that it takes.
struct Connection {
    stream: Stream,
    _place: OwnedSemaphorePermit,
}

enum Stream {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Clear(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Encrypted(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Clear(stream) => Pin::new(stream).poll_flush(context),
            Stream::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
