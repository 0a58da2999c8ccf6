use kith_domain::{ConversationId, UserId, message::MessageKind};
use kith_protocol::example;
use proptest::prelude::*;
use rstest::rstest;
use uuid::Uuid;

use super::*;

const HEARTBEAT: Duration = Duration::from_secs(25);
const LIFETIME: Duration = Duration::from_secs(900);
const SOMEBODY: &str = "0197b2a0-0000-7000-8000-000000000001";

fn me() -> UserId {
    UserId::from_uuid(Uuid::from_u128(7))
}

fn place() -> ConversationId {
    ConversationId::from_uuid(SOMEBODY.parse().unwrap())
}

fn opened() -> (Session, Instant) {
    let now = Instant::now();
    (within(None, now), now)
}

/// A socket that carries one conversation.
fn narrowed(only: ConversationId) -> Session {
    within(Some(only), Instant::now())
}

fn within(only: Option<ConversationId>, now: Instant) -> Session {
    let scope = Scope { user: me(), only };
    Session::new(scope, HEARTBEAT, now, Timestamp::from_micros(900_000_000), LIFETIME)
}

fn code_of(effect: &Effect) -> Option<(&str, Option<&str>)> {
    match effect {
        Effect::Say(frame) => match &**frame {
            ServerFrame::Error { code, id, .. } => Some((code, id.as_deref())),
            _ => None,
        },
        _ => None,
    }
}

#[rstest]
#[case("conversation_id", Target::Conversation(ConversationId::from_uuid(SOMEBODY.parse().unwrap())))]
#[case("to", Target::Person(SOMEBODY.parse().unwrap()))]
#[case("group_id", Target::Group(ConversationId::from_uuid(SOMEBODY.parse().unwrap())))]
fn a_message_is_sent_to_any_of_three_targets(#[case] field: &str, #[case] target: Target) {
    let (mut session, _) = opened();
    let effect = session.text(&format!(
        r#"{{"type":"send_message","id":"7","{field}":"{SOMEBODY}","content":"hi"}}"#
    ));
    let message = Outgoing {
        target,
        content: Content::parse("hi").unwrap(),
        client_message_id: None,
        kind: MessageKind::Text,
        reply_to: None,
    };
    assert_eq!(effect, Effect::Send { id: Some("7".to_owned()), message });
}

#[rstest]
#[case(r#"{"type":"send_message","id":"1","content":"hi"}"#, "validation_failed")]
#[case(
    r#"{"type":"send_message","id":"1","content":"hi","to":"0197b2a0-0000-7000-8000-000000000001","group_id":"0197b2a0-0000-7000-8000-000000000001"}"#,
    "validation_failed"
)]
#[case(
    r#"{"type":"send_message","id":"1","to":"0197b2a0-0000-7000-8000-000000000001","content":""}"#,
    "validation_failed"
)]
#[case(
    r#"{"type":"send_message","id":"1","to":"0197b2a0-0000-7000-8000-000000000001","content":"a\u0000"}"#,
    "invalid_text"
)]
#[case(
    r#"{"type":"send_message","id":"1","to":"0197b2a0-0000-7000-8000-000000000001","content":"a","seq":9}"#,
    "unknown_field"
)]
#[case(r#"{"type":"delete_message","id":"1","message_id":"nobody"}"#, "validation_failed")]
#[case(r#"{"type":"fly","id":"1"}"#, "unknown_type")]
fn a_bad_command_is_refused_under_its_id(#[case] frame: &str, #[case] code: &str) {
    let (mut session, _) = opened();
    assert_eq!(code_of(&session.text(frame)), Some((code, Some("1"))));
}

#[rstest]
#[case(r#"{"type":"add_reaction","id":"1","message_id":"0197b2a0-0000-7000-8000-000000000001","emoji":"hm"}"#, "validation_failed")]
#[case(
    r#"{"type":"add_reaction","id":"1","message_id":"0197b2a0-0000-7000-8000-000000000001"}"#,
    "validation_failed"
)]
#[case(r#"{"type":"message_read","id":"1"}"#, "validation_failed")]
#[case(r#"{"type":"message_read","id":"1","seq":4}"#, "validation_failed")]
#[case(
    r#"{"type":"message_read","id":"1","conversation_id":"0197b2a0-0000-7000-8000-000000000001"}"#,
    "validation_failed"
)]
#[case(r#"{"type":"message_read","id":"1","conversation_id":"0197b2a0-0000-7000-8000-000000000001","seq":-1}"#, "validation_failed")]
#[case(r#"{"type":"message_delivered","id":"1","message_id":"0197b2a0-0000-7000-8000-000000000001","seq":4}"#, "validation_failed")]
#[case(
    r#"{"type":"message_delivered","id":"1","message_id":"0197b2a0-0000-7000-8000-000000000001","conversation_id":"0197b2a0-0000-7000-8000-000000000001"}"#,
    "validation_failed"
)]
#[case(r#"{"type":"typing_start","id":"1"}"#, "validation_failed")]
#[case(
    r#"{"type":"typing_stop","id":"1","to":"0197b2a0-0000-7000-8000-000000000001","content":"x"}"#,
    "unknown_field"
)]
fn a_bad_reaction_receipt_or_word_on_typing_is_refused(#[case] frame: &str, #[case] code: &str) {
    let (mut session, _) = opened();
    assert_eq!(code_of(&session.text(frame)), Some((code, Some("1"))));
}

#[rstest]
#[case("add_reaction", true)]
#[case("remove_reaction", false)]
fn a_reaction_is_given_or_taken_back(#[case] kind: &str, #[case] given: bool) {
    let (mut session, _) = opened();
    let frame = format!(r#"{{"type":"{kind}","message_id":"{SOMEBODY}","emoji":"👍"}}"#);
    let (message, emoji) = (SOMEBODY.parse().unwrap(), Emoji::parse("👍").unwrap());
    assert_eq!(session.text(&frame), Effect::React { id: None, message, emoji, given });
}

#[rstest]
#[case("message_read", Mark::Read)]
#[case("message_delivered", Mark::Delivered)]
fn a_receipt_names_a_message_or_a_number(#[case] kind: &str, #[case] mark: Mark) {
    let (mut session, _) = opened();
    let by_message = session.text(&format!(r#"{{"type":"{kind}","message_id":"{SOMEBODY}"}}"#));
    let up_to = UpTo::Message(SOMEBODY.parse().unwrap());
    assert_eq!(by_message, Effect::Mark { id: None, up_to, mark });
    let by_number = session
        .text(&format!(r#"{{"type":"{kind}","id":"7","conversation_id":"{SOMEBODY}","seq":42}}"#));
    let up_to = UpTo::Seq(place().into(), 42);
    assert_eq!(by_number, Effect::Mark { id: Some("7".to_owned()), up_to, mark });
}

#[rstest]
#[case("typing_start", true)]
#[case("typing_stop", false)]
fn typing_is_in_any_of_three_targets(#[case] kind: &str, #[case] typing: bool) {
    let (mut session, _) = opened();
    let target = Target::Person(SOMEBODY.parse().unwrap());
    let effect = session.text(&format!(r#"{{"type":"{kind}","to":"{SOMEBODY}"}}"#));
    assert_eq!(effect, Effect::Typing { id: None, target, typing });
}

#[test]
fn what_names_no_target_is_about_the_one_conversation_of_the_socket() {
    let mut session = narrowed(place());
    let target = Target::Conversation(place());
    assert!(matches!(
        session.text(r#"{"type":"send_message","content":"hi"}"#),
        Effect::Send { message: Outgoing { target: it, .. }, .. } if it == target
    ));
    assert_eq!(
        session.text(r#"{"type":"typing_start"}"#),
        Effect::Typing { id: None, target, typing: true }
    );
    assert_eq!(
        session.text(r#"{"type":"message_read","seq":3}"#),
        Effect::Mark { id: None, up_to: UpTo::Seq(place().into(), 3), mark: Mark::Read }
    );
}

#[test]
fn the_one_conversation_may_be_named_in_any_way() {
    let peer = UserId::from_uuid(SOMEBODY.parse().unwrap());
    let mut direct = narrowed(ConversationId::direct(me(), peer));
    let frame = format!(r#"{{"type":"typing_start","to":"{SOMEBODY}"}}"#);
    assert!(matches!(direct.text(&frame), Effect::Typing { .. }));
    let mut group = narrowed(place());
    for field in ["conversation_id", "group_id"] {
        let frame = format!(r#"{{"type":"typing_start","{field}":"{SOMEBODY}"}}"#);
        assert!(matches!(group.text(&frame), Effect::Typing { .. }));
    }
}

#[rstest]
#[case("send_message", r#","content":"hi""#)]
#[case("typing_start", "")]
#[case("typing_stop", "")]
fn a_target_that_nothing_can_be_is_refused_in_every_command(
    #[case] kind: &str,
    #[case] rest: &str,
) {
    let chat = ConversationId::direct(me(), UserId::from_uuid(SOMEBODY.parse().unwrap()));
    let frame = |field, id: &str| format!(r#"{{"type":"{kind}","id":"1","{field}":"{id}"{rest}}}"#);
    for mut session in [opened().0, narrowed(chat)] {
        // A direct chat is no group, and nobody writes to himself.
        let refused = session.text(&frame("group_id", &chat.to_string()));
        assert_eq!(code_of(&refused), Some(("not_a_member", Some("1"))));
        let refused = session.text(&frame("to", &me().to_string()));
        assert_eq!(code_of(&refused), Some(("self", Some("1"))));
    }
}

#[rstest]
#[case(r#"{"type":"send_message","id":"1","content":"hi","to":"0197b2a0-0000-7000-8000-000000000009"}"#)]
#[case(r#"{"type":"typing_stop","id":"1","group_id":"0197b2a0-0000-7000-8000-000000000009"}"#)]
#[case(r#"{"type":"message_read","id":"1","conversation_id":"0197b2a0-0000-7000-8000-000000000009","seq":1}"#)]
fn another_conversation_is_refused(#[case] frame: &str) {
    let mut session = narrowed(place());
    assert_eq!(code_of(&session.text(frame)), Some(("other_conversation", Some("1"))));
    let (mut whole, _) = opened();
    assert_eq!(code_of(&whole.text(frame)), None);
}

#[test]
fn every_frame_that_is_documented_is_read() {
    for frame in example::client_frames() {
        let (mut session, _) = opened();
        let text = serde_json::to_string(&frame).unwrap();
        assert_eq!(code_of(&session.text(&text)), None, "{text}");
    }
}

#[test]
fn nine_unreadable_frames_in_a_row_are_borne() {
    let (mut session, _) = opened();
    for _ in 0..2 {
        for _ in 0..9 {
            assert_eq!(code_of(&session.text("{")), Some(("malformed_frame", None)));
        }
        assert_eq!(session.text(r#"{"type":"ping"}"#), Effect::Pong { id: None });
    }
    for _ in 0..9 {
        session.text("{");
    }
    assert!(matches!(session.text("{"), Effect::Close { code: close::BAD_FRAMES, .. }));
}

#[test]
fn two_unanswered_heartbeats_end_the_socket() {
    let (mut session, start) = opened();
    assert_eq!(session.next_tick(), start + HEARTBEAT);
    assert_eq!(session.tick(start + HEARTBEAT), [Effect::Ping]);
    session.heard();
    assert_eq!(session.tick(start + HEARTBEAT * 2), [Effect::Ping]);
    assert_eq!(session.tick(start + HEARTBEAT * 3), [Effect::Ping]);
    assert!(matches!(
        session.tick(start + HEARTBEAT * 4)[..],
        [Effect::Close { code: close::NO_HEARTBEAT, .. }]
    ));
}

#[test]
fn a_token_that_ends_is_announced_then_ends_the_socket() {
    let (mut session, start) = opened();
    let announced = |effects: &[Effect]| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::Say(frame) if matches!(**frame, ServerFrame::TokenExpiring { .. }))
        })
    };
    assert!(announced(&session.tick(start + LIFETIME.saturating_sub(EXPIRY_WARNING))));
    assert!(!announced(&session.tick(start + LIFETIME.saturating_sub(EXPIRY_WARNING))));
    session.renewed(start + LIFETIME, Timestamp::from_micros(0), LIFETIME);
    assert!(!session.tick(start + LIFETIME).iter().any(|e| matches!(e, Effect::Close { .. })));
    assert!(matches!(
        session.tick(start + LIFETIME * 2)[..],
        [Effect::Close { code: close::SIGNED_OUT, .. }]
    ));
}

proptest! {
    #[test]
    fn no_text_brings_it_down(text in "\\PC{0,200}") {
        let (mut session, _) = opened();
        let _ = session.text(&text);
    }

    #[test]
    fn only_a_run_of_bad_frames_ends_the_socket(frames in proptest::collection::vec(any::<bool>(), 0..60)) {
        let (mut session, _) = opened();
        let mut run = 0;
        for good in frames {
            let effect = session.text(if good { r#"{"type":"ping"}"# } else { "[" });
            run = if good { 0 } else { run + 1 };
            prop_assert_eq!(matches!(effect, Effect::Close { .. }), run >= 10);
            if run >= 10 { break }
        }
    }
}
