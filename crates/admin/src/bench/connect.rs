//! `skua bench connect`: connections that say once who they are and then stay, for what they cost a
//! server.

use std::time::Duration;

use serde::Serialize;
use skua_protocol::body::{ConsumerData, HeartbeatData, ProducerData, SubscriptionData};
use skua_protocol::code::{RequestCode, ResponseCode};
use skua_protocol::header::Fields;
use skua_protocol::{Command, frame, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::BenchError;
use super::frames;
use super::line::LineError;

const READ_LEN: usize = 4096;

#[derive(Clone, Debug)]
pub struct Plan {
    pub broker: String,
    pub count: u32,
    /// Consumer groups that subscribe to `topic`, spread over the connections.
    pub groups: u32,
    pub topic: String,
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Connected {
    pub connections: u32,
    pub groups: u32,
    /// Heartbeats that were answered with an error.
    pub refused: u32,
}

/// Opens all connections, one after the other; they close when what is given back is dropped.
pub async fn run(plan: &Plan) -> Result<(Connected, Vec<TcpStream>), BenchError> {
    let mut streams = Vec::with_capacity(plan.count as usize);
    let mut refused = 0;
    for number in 0..plan.count {
        let (stream, accepted) =
            tokio::time::timeout(plan.timeout, greet(plan, number)).await.map_err(|_| {
                LineError::Silent { addr: plan.broker.clone(), waited: plan.timeout }
            })??;
        refused += u32::from(!accepted);
        streams.push(stream);
    }
    Ok((Connected { connections: plan.count, groups: plan.groups, refused }, streams))
}

/// A connection that has sent its heartbeat, and whether that was accepted.
async fn greet(plan: &Plan, number: u32) -> Result<(TcpStream, bool), LineError> {
    let failed = |cause| LineError::Connect { addr: plan.broker.clone(), cause };
    let mut stream = TcpStream::connect(&plan.broker).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let mut request = bytes::BytesMut::new();
    frame::encode(&heartbeat(plan, number), &mut request);
    stream.write_all(&request).await.map_err(failed)?;
    let mut input = vec![0; READ_LEN];
    let mut held = 0;
    loop {
        let unreadable = |cause| LineError::Unreadable { addr: plan.broker.clone(), cause };
        let mut start = 0;
        while let Some(answer) = frames::next(&input[start..held]).map_err(unreadable)? {
            if answer.is_response {
                return Ok((stream, answer.code == ResponseCode::Success as i32));
            }
            start += answer.frame.len();
        }
        let whole = frames::frame_len(&input[start..held]).map_err(unreadable)?;
        input.copy_within(start..held, 0);
        held -= start;
        if input.len() < whole.unwrap_or(0).max(READ_LEN) {
            input.resize(whole.unwrap_or(0), 0);
        }
        match stream.read(&mut input[held..]).await.map_err(failed)? {
            0 => return Err(LineError::Closed { addr: plan.broker.clone() }),
            count => held += count,
        }
    }
}

fn heartbeat(plan: &Plan, number: u32) -> Command {
    let consumer = |group: u32| ConsumerData {
        group_name: format!("skua_bench_group_{group}"),
        subscription_data_set: vec![SubscriptionData {
            topic: plan.topic.clone(),
            sub_string: "*".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let data = HeartbeatData {
        client_id: format!("127.0.0.1@{}-{number}", std::process::id()),
        producer_data_set: vec![ProducerData { group_name: "skua_bench".to_owned() }],
        consumer_data_set: (number..plan.groups)
            .step_by(plan.count as usize)
            .map(consumer)
            .collect(),
        ..Default::default()
    };
    Command::raw_request(RequestCode::HeartBeat, Fields::new()).with_body(json::to_vec(&data))
}
