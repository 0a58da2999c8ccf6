//! Accounts.

use async_trait::async_trait;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Integer},
};
use kith_domain::{
    SessionId, Timestamp, UserId,
    conversation::SMALL,
    text::{Description, Email, Name, Username},
    user::{DELETED_USER, ProfilePatch, User},
};
use kith_ports::{
    Constraint, Credentials, LoginName, NewAccount, StoreError, StoreResult, UserCursor, UserStore,
};

use super::{
    Backend, Connection, RunQueryDsl, Store,
    acquaintances::{acquaintances, contacts, correspondents, have_written_to},
    either, sessions, store,
};
use crate::{
    failure::Work,
    queries::{AccountAmong, HeadAmong, at_most, is_current, locked, memberships, people},
    rows::{SessionRow, UserRow, visibility_number},
    schema::{conversations, heads, last_seen, members, user_words, users},
    statement::statement,
    types::{Key, Moment, sql},
    words,
};

/// How many members a small conversation has at most, as the column has it.
pub(crate) const MOST_OF_SMALL: i32 = SMALL.cast_signed();

statement! {
    /// Says that something of each small conversation of a member is another, though not what its
    /// version counts.
    TouchSmall { user_id: Key, most: i32, changed: i64 } {
        "UPDATE heads SET changed = ", {changed: BigInt},
        " WHERE conversation_id IN (SELECT members.conversation_id FROM members \
         JOIN conversations ON conversations.id = members.conversation_id \
         WHERE members.left_seq IS NULL AND conversations.deleted_at IS NULL \
         AND conversations.member_count <= ", {most: Integer},
        " AND members.user_id = ", {user_id: sql::Id}, ")"
    }
}

statement! {
    /// Moves a last seen forward, of an account that lives.
    Saw { user_id: Key, at: Moment } {
        "INSERT INTO last_seen (user_id, at) SELECT id, ",
        {at: sql::Timestamp},
        " FROM users WHERE id = ",
        {user_id: sql::Id},
        " AND deleted_at IS NULL \
         ON CONFLICT (user_id) DO UPDATE SET at = excluded.at WHERE excluded.at > last_seen.at"
    }
}

#[async_trait]
impl UserStore for Store {
    async fn register(&self, account: NewAccount) -> StoreResult<()> {
        transact!(self, register(account))
    }

    async fn credentials(&self, name: &LoginName) -> StoreResult<Option<Credentials>> {
        let name = name.clone();
        query!(self, credentials(&name))
    }

    async fn password_hash(&self, id: UserId) -> StoreResult<Option<String>> {
        query!(self, password_hash(id))
    }

    async fn find(&self, ids: &[UserId]) -> StoreResult<Vec<User>> {
        let ids = ids.to_vec();
        query!(self, find(&ids))
    }

    async fn search(
        &self,
        prefix: &str,
        after: Option<UserCursor>,
        limit: usize,
    ) -> StoreResult<Vec<User>> {
        let range = words::range(prefix);
        query!(self, search(range, after, limit))
    }

    async fn update(&self, id: UserId, patch: ProfilePatch) -> StoreResult<Option<User>> {
        insist!(self, [patch] update(id, &patch))
    }

    async fn set_password(
        &self,
        id: UserId,
        password_hash: String,
        keep: SessionId,
        now: Timestamp,
    ) -> StoreResult<Vec<SessionId>> {
        transact!(self, set_password(id, password_hash, keep, now))
    }

    async fn erase(&self, id: UserId, now: Timestamp) -> StoreResult<Vec<SessionId>> {
        transact!(self, erase(id, now))
    }

    async fn saw(&self, seen: &[(UserId, Timestamp)]) -> StoreResult<()> {
        let mut seen = seen.to_vec();
        // In one order everywhere, so that nobody waits in a circle.
        seen.sort_unstable();
        transact!(self, saw(&seen))
    }

    async fn contacts(&self, ids: &[UserId]) -> StoreResult<Vec<Vec<UserId>>> {
        let ids = ids.to_vec();
        snapshot!(self, contacts(&ids))
    }

    async fn correspondents(&self, id: UserId) -> StoreResult<Vec<UserId>> {
        snapshot!(self, correspondents(id))
    }

    async fn acquaintances(&self, id: UserId) -> StoreResult<Vec<UserId>> {
        snapshot!(self, acquaintances(id))
    }

    async fn have_written_to(&self, viewer: UserId, owners: &[UserId]) -> StoreResult<Vec<UserId>> {
        let owners = owners.to_vec();
        snapshot!(self, have_written_to(viewer, &owners))
    }
}

/// Accounts by id, in no particular order.
#[either]
pub(super) async fn find(connection: &mut Connection, ids: &[UserId]) -> Work<Vec<User>> {
    let rows = match ids {
        [] => Vec::new(),
        // The plan for one is kept; a list is planned each time.
        [id] => {
            people()
                .filter(users::id.eq(Key::from(*id)))
                .select(UserRow::as_select())
                .load(connection)
                .await?
        }
        ids => {
            people()
                .filter(users::id.eq_any(ids.iter().copied().map(Key::from)))
                .select(UserRow::as_select())
                .load(connection)
                .await?
        }
    };
    into_users(rows)
}

fn into_users(rows: Vec<UserRow>) -> Work<Vec<User>> {
    Ok(rows.into_iter().map(TryInto::try_into).collect::<Result<_, StoreError>>()?)
}

#[either]
async fn password_hash(connection: &mut Connection, id: UserId) -> Work<Option<String>> {
    let hash: Option<Option<String>> = users::table
        .filter(users::id.eq(Key::from(id)))
        .select(users::password_hash)
        .get_result(connection)
        .await
        .optional()?;
    Ok(hash.flatten())
}

#[either]
async fn search(
    connection: &mut Connection,
    (from, to): (String, Option<String>),
    after: Option<UserCursor>,
    limit: usize,
) -> Work<Vec<User>> {
    let mut found = user_words::table
        .filter(user_words::word.ge(from))
        .select(user_words::user_id)
        .into_boxed();
    if let Some(to) = to {
        found = found.filter(user_words::word.lt(to));
    }
    let mut query = people()
        .filter(AccountAmong(found))
        .filter(users::deleted_at.is_null())
        .order(users::username_key.asc())
        .select(UserRow::as_select())
        .into_boxed();
    if let Some(UserCursor(key)) = after {
        query = query.filter(users::username_key.gt(key));
    }
    into_users(at_most(limit, query).load(connection).await?)
}

#[either]
async fn register(connection: &mut Connection, account: NewAccount) -> Work<()> {
    let NewAccount { user, password_hash, session, token_hash } = account;
    let email_key = user.email.as_ref().map(Email::key);
    let username_key = user.username.as_ref().map(Username::key);
    refuse_taken(connection, email_key.as_deref(), username_key.as_deref()).await?;

    let number = store::next_number(connection).await?;
    diesel::insert_into(users::table)
        .values((
            users::id.eq(Key::from(user.id)),
            users::username.eq(user.username.as_ref().map(Username::as_str)),
            users::username_key.eq(username_key),
            users::email.eq(user.email.as_ref().map(Email::as_str)),
            users::email_key.eq(email_key),
            users::display_name.eq(user.display_name.as_str()),
            users::about.eq(user.about.as_ref().map(Description::as_str)),
            users::password_hash.eq(password_hash),
            users::last_seen_visibility.eq(visibility_number(user.privacy.last_seen)),
            users::read_receipts.eq(user.privacy.read_receipts),
            users::changed.eq(number),
            users::created_at.eq(Moment::from(user.created_at)),
            users::deleted_at.eq(user.deleted_at.map(Moment::from)),
        ))
        .execute(connection)
        .await?;
    index(connection, &user).await?;
    diesel::insert_into(crate::schema::sessions::table)
        .values(SessionRow::new(session, token_hash))
        .execute(connection)
        .await?;
    Ok(())
}

/// What is told here is told in the right order; where several write at once, the unique indexes have
/// the last word.
#[either]
async fn refuse_taken(
    connection: &mut Connection,
    email_key: Option<&str>,
    username_key: Option<&str>,
) -> Work<()> {
    if let Some(key) = email_key {
        let same = users::table.filter(users::email_key.eq(key)).select(users::id);
        if same.get_result::<Key>(connection).await.optional()?.is_some() {
            return Err(StoreError::Conflict(Constraint::Email).into());
        }
    }
    if let Some(key) = username_key {
        let same = users::table.filter(users::username_key.eq(key)).select(users::id);
        if same.get_result::<Key>(connection).await.optional()?.is_some() {
            return Err(StoreError::Conflict(Constraint::Username).into());
        }
    }
    Ok(())
}

#[either]
async fn credentials(connection: &mut Connection, name: &LoginName) -> Work<Option<Credentials>> {
    let columns = (UserRow::as_select(), users::password_hash);
    // An erased account has neither key, so it is not found.
    let row: Option<(UserRow, Option<String>)> = match name {
        LoginName::Email(email) => people()
            .filter(users::email_key.eq(email.key()))
            .select(columns)
            .get_result(connection)
            .await
            .optional()?,
        LoginName::Username(name) => people()
            .filter(users::username_key.eq(name.key()))
            .select(columns)
            .get_result(connection)
            .await
            .optional()?,
    };
    let Some((row, password_hash)) = row else { return Ok(None) };
    Ok(Some(Credentials { user: row.try_into()?, password_hash }))
}

#[derive(AsChangeset)]
#[diesel(table_name = users)]
struct Patch {
    display_name: Option<String>,
    about: Option<Option<String>>,
    last_seen_visibility: Option<i16>,
    read_receipts: Option<bool>,
    changed: i64,
}

#[either]
async fn update(
    connection: &mut Connection,
    id: UserId,
    patch: &ProfilePatch,
) -> Work<Option<User>> {
    if patch.read_receipts.is_some() {
        // Whoever holds heads may go on to wait for accounts, so heads come first. One that he comes
        // into only now is written while his account is held: who waits for that is tried again.
        hold_small(connection, id).await?;
    }
    if !hold(connection, id).await? {
        return Ok(None);
    }
    let Some(before) = find(connection, &[id]).await?.pop() else { return Ok(None) };
    let changed = store::next_number(connection).await?;
    let patch_row = Patch {
        display_name: patch.display_name.as_ref().map(Name::to_string),
        about: patch.about.as_ref().map(|about| about.as_ref().map(Description::to_string)),
        last_seen_visibility: patch.last_seen.map(visibility_number),
        read_receipts: patch.read_receipts,
        changed,
    };
    diesel::update(users::table.find(Key::from(id))).set(patch_row).execute(connection).await?;
    let after = find(connection, &[id]).await?.pop();
    if let Some(user) = after.as_ref().filter(|user| user.display_name != before.display_name) {
        index(connection, user).await?;
    }
    if after.as_ref().is_some_and(|user| user.privacy.read_receipts != before.privacy.read_receipts)
    {
        let touch = TouchSmall { user_id: &id.into(), most: &MOST_OF_SMALL, changed: &changed };
        touch.execute(connection).await?;
    }
    Ok(after)
}

/// Holds the heads of the small conversations of one who is in them now, in the order in which
/// everybody does.
#[either]
async fn hold_small(connection: &mut Connection, id: UserId) -> Work<()> {
    let small = memberships()
        .filter(members::user_id.eq(Key::from(id)))
        .filter(is_current())
        .filter(conversations::member_count.le(MOST_OF_SMALL))
        .select(members::conversation_id);
    let heads = heads::table
        .filter(HeadAmong(small))
        .order(heads::conversation_id.asc())
        .select(heads::conversation_id);
    let _: Vec<Key> = locked(heads).load(connection).await?;
    Ok(())
}

/// Writes the keys under which an account is found.
#[either]
async fn index(connection: &mut Connection, user: &User) -> Work<()> {
    let user_id = Key::from(user.id);
    diesel::delete(user_words::table.filter(user_words::user_id.eq(user_id)))
        .execute(connection)
        .await?;
    let username = user.username.as_ref().map_or("", |name| name.as_str());
    for word in words::keys_of(username, user.display_name.as_str()) {
        diesel::insert_into(user_words::table)
            .values((user_words::word.eq(word), user_words::user_id.eq(user_id)))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Waits for others who change the account, and keeps them waiting. `false` if it does not live.
#[either]
async fn hold(connection: &mut Connection, id: UserId) -> Work<bool> {
    let living = users::table
        .filter(users::id.eq(Key::from(id)))
        .filter(users::deleted_at.is_null())
        .select(users::id);
    Ok(locked(living).get_result::<Key>(connection).await.optional()?.is_some())
}

#[either]
async fn set_password(
    connection: &mut Connection,
    id: UserId,
    password_hash: String,
    keep: SessionId,
    now: Timestamp,
) -> Work<Vec<SessionId>> {
    if !hold(connection, id).await? {
        return Ok(Vec::new());
    }
    diesel::update(users::table.find(Key::from(id)))
        .set(users::password_hash.eq(password_hash))
        .execute(connection)
        .await?;
    sessions::end_all(connection, id, Some(keep), now).await
}

#[either]
async fn saw(connection: &mut Connection, seen: &[(UserId, Timestamp)]) -> Work<()> {
    for (id, at) in seen {
        Saw { user_id: &(*id).into(), at: &(*at).into() }.execute(connection).await?;
    }
    Ok(())
}

#[either]
async fn erase(connection: &mut Connection, id: UserId, now: Timestamp) -> Work<Vec<SessionId>> {
    let key = Key::from(id);
    let changed = store::next_number(connection).await?;
    let none = None::<&str>;
    let erased = diesel::update(users::table.find(key).filter(users::deleted_at.is_null()))
        .set((
            users::username.eq(none),
            users::username_key.eq(none),
            users::email.eq(none),
            users::email_key.eq(none),
            users::display_name.eq(DELETED_USER),
            users::about.eq(none),
            users::password_hash.eq(none),
            users::changed.eq(changed),
            users::deleted_at.eq(Moment::from(now)),
        ))
        .execute(connection)
        .await?;
    if erased == 0 {
        return Ok(Vec::new());
    }
    diesel::delete(user_words::table.filter(user_words::user_id.eq(key)))
        .execute(connection)
        .await?;
    diesel::delete(last_seen::table.find(key)).execute(connection).await?;
    let ended = sessions::end_all(connection, id, None, now).await?;
    sessions::forget_devices(connection, id).await?;
    Ok(ended)
}
