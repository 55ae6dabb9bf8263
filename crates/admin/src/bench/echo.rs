//! `skua bench echo`: a server that answers every frame as a broker would answer a send, and does
//! nothing else. What it costs, every server on this machine pays.

use std::convert::Infallible;
use std::io;
use std::thread;

use skua_protocol::Command;
use skua_protocol::code::RequestCode;
use skua_protocol::command::HeaderCodec;
use skua_protocol::header::Fields;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::frames::{self, Template};

const READ_LEN: usize = 256 * 1024;

/// Listens until the process ends.
pub fn run(listen: &str, threads: usize) -> io::Result<Infallible> {
    let listener = std::net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    crate::say(&format!("{}\n", listener.local_addr()?));
    let answers = [HeaderCodec::Json, HeaderCodec::Binary].map(answer);
    let [Ok(json), Ok(binary)] = answers else {
        return Err(io::Error::other("the answer cannot be encoded"));
    };
    // A runtime of one thread each, so that no connection moves; the kernel spreads them.
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (listener, json, binary) = (listener.try_clone(), json.clone(), binary.clone());
            thread::spawn(move || serve(listener?, &json, &binary))
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|_| io::Error::other("a thread panicked"))??;
    }
    Err(io::Error::other("no thread is left"))
}

/// The answer to a send.
fn answer(codec: HeaderCodec) -> Result<Template, frames::TemplateError> {
    let mut fields = Fields::new();
    fields.push("msgId", "7F00000100002A9F0000000000000000");
    fields.push("queueId", "0");
    fields.push("queueOffset", "1000000");
    let mut answer = Command::raw_request(RequestCode::SendMessageV2, fields);
    answer.code = 0;
    answer.flag |= skua_protocol::command::FLAG_RESPONSE;
    answer.codec = codec;
    Template::new(answer, &[])
}

fn serve(listener: std::net::TcpListener, json: &Template, binary: &Template) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let (json, binary) = (json.clone(), binary.clone());
            // A client that goes or sends rubbish ends its connection and nothing else.
            tokio::task::spawn_local(async move { echo(stream, &json, &binary).await.ok() });
        }
    })
}

async fn echo(mut stream: TcpStream, json: &Template, binary: &Template) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = vec![0; READ_LEN];
    let mut held = 0;
    let mut output = Vec::new();
    loop {
        let count = stream.read(&mut input[held..]).await?;
        if count == 0 {
            return Ok(());
        }
        held += count;
        let mut start = 0;
        while let Some(request) = frames::next(&input[start..held]).map_err(io::Error::other)? {
            let template = if request.codec == HeaderCodec::Json { json } else { binary };
            template.write_opaque(request.opaque, &[], &mut output);
            start += request.frame.len();
        }
        let whole = frames::frame_len(&input[start..held]).map_err(io::Error::other)?;
        input.copy_within(start..held, 0);
        held -= start;
        if input.len() < whole.unwrap_or(0) {
            input.resize(whole.unwrap_or(0), 0);
        }
        stream.write_all(&output).await?;
        output.clear();
    }
}
