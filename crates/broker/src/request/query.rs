//! Looking up messages: 33.

use skua_protocol::record::Record;
use skua_protocol::request::ViewMessageById;
use skua_protocol::{Command, PhysicalOffset};
use skua_store::Store;

use super::Answer;
use super::error::RequestError;

/// One message by its physical offset.
pub fn view(store: &Store, request: &Command) -> Answer {
    let header: ViewMessageById = request.header()?;
    let missing = || RequestError::NoMessageToView(header.offset);
    let offset = u64::try_from(header.offset).map_err(|_| missing())?;
    // An offset that is no record's is a mistake of the client, not of the disk.
    let found = store.record_at(PhysicalOffset(offset), None).ok().flatten();
    let bytes = found.ok_or_else(missing)?;
    Record::parse(&bytes).map_err(|_| missing())?;
    Ok(Command::success().with_body(bytes))
}
