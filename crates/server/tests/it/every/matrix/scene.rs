use kith_client::protocol::rest::{NewChannel, NewInvite, Role};
use uuid::Uuid;

use super::Who;
use crate::support::{Actor, TestApp};

/// The same situation for everyone who asks, made anew for each question.
pub(super) struct Scene {
    /// Who asks; `None`: nobody.
    pub(super) actor: Option<Actor>,
    /// A plain member.
    pub(super) other: Actor,
    /// Somebody who is in none of the conversations.
    pub(super) outsider: Actor,
    /// The one that the actor may want to talk to: he who has blocked him, the owner, or, for the
    /// owner, the other member.
    pub(super) peer: Uuid,
    /// A group; for the blocked one the direct chat.
    pub(super) conversation: Uuid,
    /// A channel in which the actor has the same place; the blocked one is not in it.
    pub(super) channel: Uuid,
    /// An invite into the group.
    pub(super) code: String,
    /// A message of the actor in the conversation; of another if he never was in it.
    pub(super) own: Uuid,
    /// A message of another in the conversation.
    pub(super) theirs: Uuid,
    /// The actor's session.
    pub(super) session: Uuid,
}

impl Scene {
    /// For `who`; `number` makes the names of its people.
    pub(super) async fn of(app: &TestApp, who: Who, number: usize) -> Self {
        let owner = app.user(&format!("owner{number}")).await;
        let other = app.user(&format!("other{number}")).await;
        let outsider = app.user(&format!("outsider{number}")).await;
        let actor = match who {
            Who::SignedOut => None,
            Who::Owner => Some(owner.clone()),
            _ => Some(app.user(&format!("actor{number}")).await),
        };
        let channel = NewChannel { name: "news".into(), description: None, posting: None };
        let channel = owner.client.create_channel(&channel).await.unwrap().id;
        other.client.join_channel(channel).await.unwrap();
        let mut members = vec![&other];
        let came =
            actor.as_ref().filter(|_| matches!(who, Who::Removed | Who::Member | Who::Admin));
        if let Some(actor) = came {
            members.push(actor);
            actor.client.join_channel(channel).await.unwrap();
        }
        let group = owner.group("ours", &members).await;
        let theirs = other.send(group, "theirs").await.id;
        let mut scene = Self {
            peer: if who == Who::Owner { other.id } else { owner.id },
            conversation: group,
            channel,
            code: owner.client.invite(group, &NewInvite::default()).await.unwrap().code,
            own: theirs,
            theirs,
            session: Uuid::nil(),
            actor: None,
            other,
            outsider,
        };
        let Some(actor) = actor else { return scene };
        match who {
            Who::Blocked => {
                scene.conversation = owner.open_direct(&actor).await;
                scene.theirs = owner.send(scene.conversation, "theirs").await.id;
                scene.own = actor.send(scene.conversation, "own").await.id;
                actor.client.react(scene.theirs, "👍").await.unwrap();
                owner.client.block(actor.id).await.unwrap();
            }
            Who::SignedOut | Who::Stranger => {}
            Who::Removed | Who::Member | Who::Admin | Who::Owner => {
                scene.own = actor.send(group, "own").await.id;
            }
        }
        for place in [group, channel] {
            let rights = &owner.client;
            if who == Who::Removed {
                rights.remove_member(place, actor.id).await.unwrap();
            } else if who == Who::Admin {
                rights.change_role(place, actor.id, Role::Admin).await.unwrap();
            }
        }
        scene.session = actor.client.sessions().await.unwrap().items[0].id;
        scene.actor = Some(actor);
        scene
    }

    /// A text of the tables with its names filled in.
    pub(super) fn fill(&self, text: &str) -> String {
        let refresh = self.actor.as_ref().and_then(|actor| actor.client.tokens());
        let me = self.actor.as_ref().map_or(self.outsider.id, |actor| actor.id);
        text.replace("{conversation}", &self.conversation.to_string())
            .replace("{channel}", &self.channel.to_string())
            .replace("{own}", &self.own.to_string())
            .replace("{theirs}", &self.theirs.to_string())
            .replace("{other}", &self.other.id.to_string())
            .replace("{outsider}", &self.outsider.id.to_string())
            .replace("{peer}", &self.peer.to_string())
            .replace("{me}", &me.to_string())
            .replace("{code}", &self.code)
            .replace("{refresh}", &refresh.map(|tokens| tokens.refresh).unwrap_or_default())
            .replace("{token}", &self.actor.as_ref().map(Actor::token).unwrap_or_default())
            .replace("{session}", &self.session.to_string())
    }
}
