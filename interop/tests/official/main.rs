//! Official clients and the Java server against Skua, in one binary: it links once, and the tests of
//! every file run side by side. One file's tests: `cargo test -p skua-interop replication_faults::`.

mod access;
#[path = "../../../crates/remoting/tests/common/authority.rs"]
mod authority;
mod clients;
mod cluster;
mod console;
mod crash;
mod differential;
mod directory;
mod dledger;
mod doctor;
mod filters;
mod full_disk;
mod group_settings;
mod hostile;
mod light_queues;
mod load;
mod mixed;
mod mqadmin;
mod mqadmin_golden;
mod name_spaces;
mod network_faults;
mod other_clients;
mod pop;
mod queue_kinds;
mod quickstart;
mod raft;
mod raft_field;
mod raft_figures;
mod raft_network;
mod raft_offsets;
mod raft_upkeep;
mod replication;
mod replication_faults;
mod replication_figures;
mod replication_strangers;
mod request_reply;
mod rolling_move;
mod scale_figures;
mod static_topics;
mod switch;
mod timers;
mod tls;
mod trace;
mod transactions;
