use diesel::{dsl::auto_type, prelude::*};

use crate::schema::{last_seen, users};

/// Accounts with when they were last seen.
#[auto_type]
pub(crate) fn people() -> _ {
    users::table.left_join(last_seen::table.on(last_seen::user_id.eq(users::id)))
}
