use kith_domain::message::MessageKind;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const HEARTBEAT: Duration = Duration::from_secs(25);
const LIFETIME: Duration = Duration::from_secs(900);
const SOMEBODY: &str = "0197b2a0-0000-7000-8000-000000000001";

fn opened() -> (Session, Instant) {
    let now = Instant::now();
    (Session::new(HEARTBEAT, now, Timestamp::from_micros(900_000_000), LIFETIME), now)
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
