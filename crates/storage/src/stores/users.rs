//! Accounts.

use async_trait::async_trait;
use diesel::{dsl::case_when, prelude::*};
use kith_domain::{
    ConversationId, SessionId, Timestamp, UserId,
    conversation::Kind,
    text::{Description, Email, Name, Username},
    user::{DELETED_USER, ProfilePatch, User},
};
use kith_ports::{
    Constraint, Credentials, LoginName, NewAccount, StoreError, StoreResult, UserCursor, UserStore,
};

use super::{Backend, Connection, RunQueryDsl, Store, either, sessions, store, sync::BEGINNING};
use crate::{
    failure::Work,
    queries::{AccountAmong, at_most, is_current, locked, memberships, people},
    rows::{SessionRow, UserRow, kind_number, visibility_number},
    schema::{conversations, heads, last_seen, members, messages, user_words, users},
    statement::statement,
    types::{Key, Moment, sql},
    words,
};

/// How many members a conversation has whose members hear of each other's profiles. Those of
/// people in larger ones are asked for when they are shown.
const SMALL: i32 = 256;

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
        transact!(self, update(id, &patch))
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

    async fn contacts(&self, id: UserId) -> StoreResult<Vec<UserId>> {
        query!(self, contacts(id))
    }

    async fn correspondents(&self, id: UserId) -> StoreResult<Vec<UserId>> {
        query!(self, correspondents(id))
    }

    async fn acquaintances(&self, id: UserId) -> StoreResult<Vec<UserId>> {
        snapshot!(self, acquaintances(id))
    }

    async fn have_written_to(&self, viewer: UserId, owners: &[UserId]) -> StoreResult<Vec<UserId>> {
        let owners = owners.to_vec();
        query!(self, have_written_to(viewer, &owners))
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
    if !hold(connection, id).await? {
        return Ok(None);
    }
    let Some(before) = find(connection, &[id]).await?.pop() else { return Ok(None) };
    let patch_row = Patch {
        display_name: patch.display_name.as_ref().map(Name::to_string),
        about: patch.about.as_ref().map(|about| about.as_ref().map(Description::to_string)),
        last_seen_visibility: patch.last_seen.map(visibility_number),
        read_receipts: patch.read_receipts,
        changed: store::next_number(connection).await?,
    };
    diesel::update(users::table.find(Key::from(id))).set(patch_row).execute(connection).await?;
    let after = find(connection, &[id]).await?.pop();
    if let Some(user) = after.as_ref().filter(|user| user.display_name != before.display_name) {
        index(connection, user).await?;
    }
    Ok(after)
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

#[either]
async fn contacts(connection: &mut Connection, id: UserId) -> Work<Vec<UserId>> {
    let key = Key::from(id);
    let written = messages::table
        .filter(messages::conversation_id.eq(conversations::id))
        .filter(messages::sender_id.eq(key))
        // A column of the index alone: with any other, the conversation would be walked through.
        .select(messages::seq);
    let pairs: Vec<(Option<Key>, Option<Key>)> = members::table
        .inner_join(conversations::table.on(conversations::id.eq(members::conversation_id)))
        .filter(members::user_id.eq(key))
        .filter(conversations::user_a.is_not_null())
        .filter(diesel::dsl::exists(written))
        .select((conversations::user_a, conversations::user_b))
        .load(connection)
        .await?;
    Ok(peers(pairs, key))
}

#[either]
async fn correspondents(connection: &mut Connection, id: UserId) -> Work<Vec<UserId>> {
    let key = Key::from(id);
    let pairs: Vec<(Option<Key>, Option<Key>)> = memberships()
        .filter(members::user_id.eq(key))
        .filter(is_current())
        .filter(conversations::user_a.is_not_null())
        .filter(heads::last_seq.gt(0))
        .select((conversations::user_a, conversations::user_b))
        .load(connection)
        .await?;
    Ok(peers(pairs, key))
}

#[either]
async fn acquaintances(connection: &mut Connection, id: UserId) -> Work<Vec<UserId>> {
    let mut all = correspondents(connection, id).await?;
    all.extend(companions(connection, id, Kind::Direct, BEGINNING, usize::MAX).await?);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[either]
async fn have_written_to(
    connection: &mut Connection,
    viewer: UserId,
    owners: &[UserId],
) -> Work<Vec<UserId>> {
    let own = Key::from(viewer);
    // A direct chat's id follows from its two.
    let others = owners.iter().filter(|owner| **owner != viewer);
    let chats: Vec<Key> =
        others.map(|owner| ConversationId::direct(*owner, viewer).into()).collect();
    let other = case_when(conversations::user_a.eq(own), conversations::user_b)
        .otherwise(conversations::user_a);
    let written = messages::table
        .filter(messages::conversation_id.eq(conversations::id))
        .filter(messages::sender_id.nullable().eq(other))
        // A column of the index alone, as above.
        .select(messages::seq);
    let pairs: Vec<(Option<Key>, Option<Key>)> = conversations::table
        .filter(conversations::id.eq_any(chats))
        .filter(diesel::dsl::exists(written))
        .select((conversations::user_a, conversations::user_b))
        .load(connection)
        .await?;
    Ok(peers(pairs, own))
}

/// The others of the pairs of direct chats.
fn peers(pairs: Vec<(Option<Key>, Option<Key>)>, own: Key) -> Vec<UserId> {
    pairs
        .into_iter()
        .filter_map(|(a, b)| if a == Some(own) { b } else { a })
        .map(Into::into)
        .collect()
}

/// Those with whom `id` shares a small conversation, of any kind but one, and whose profiles were
/// written since; at most `most`.
#[either]
pub(super) async fn companions(
    connection: &mut Connection,
    id: UserId,
    except: Kind,
    since: i64,
    most: usize,
) -> Work<Vec<UserId>> {
    let (mine, theirs) = diesel::alias!(members as mine, members as theirs);
    let query = mine
        .inner_join(
            conversations::table.on(conversations::id.eq(mine.field(members::conversation_id))),
        )
        .inner_join(theirs.on(theirs.field(members::conversation_id).eq(conversations::id)))
        .inner_join(users::table.on(users::id.eq(theirs.field(members::user_id))))
        .filter(mine.field(members::user_id).eq(Key::from(id)))
        .filter(mine.field(members::left_seq).is_null())
        .filter(theirs.field(members::left_seq).is_null())
        .filter(theirs.field(members::user_id).ne(Key::from(id)))
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::kind.ne(kind_number(except)))
        .filter(conversations::member_count.le(SMALL))
        .filter(users::changed.ge(since))
        .select(users::id)
        .distinct();
    let ids: Vec<Key> = at_most(most, query).load(connection).await?;
    Ok(ids.into_iter().map(Into::into).collect())
}
