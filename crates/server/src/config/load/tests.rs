use std::io::Write as _;

use secrecy::ExposeSecret as _;
use tempfile::NamedTempFile;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Result<Environment, Failure> {
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Environment::read(&variables.collect())
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn loaded(toml: &str, variables: &[(&str, &str)], mut flags: Flags) -> Result<Loaded, Failure> {
    let file = file(toml);
    flags.config = Some(file.path().to_owned());
    from(&flags, environment(variables)?)
}

fn refused(toml: &str, variables: &[(&str, &str)]) -> String {
    loaded(toml, variables, Flags::default()).unwrap_err().to_string()
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let toml = "listen = '127.0.0.1:1'\ndata_dir = '/file'\n[limits]\nsockets_per_user = 7\n";
    let variables = [("KITH_LISTEN", "127.0.0.1:2"), ("KITH_DATA_DIR", "/environment")];
    let flags = Flags { listen: "127.0.0.1:3".parse().ok(), ..Flags::default() };
    let config = loaded(toml, &variables, flags).unwrap().config;
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.data_dir.to_str(), Some("/environment"));
    assert_eq!(config.limits.sockets_per_user, 7);
    assert_eq!(config.limits.messages_per_second, 100);
}

#[test]
fn nesting_numbers_lists_and_digits_that_are_a_text() {
    let variables = [
        ("KITH_LIMITS__MESSAGES_PER_SECOND", "0"),
        ("KITH_CORS_ORIGINS", "https://a.example, https://b.example"),
        ("KITH_JWT_SECRET", "12345678901234567890123456789012"),
        ("KITH_TRUSTED_PROXIES", "10.0.0.0/8,::1"),
    ];
    let config = loaded("", &variables, Flags::default()).unwrap().config;
    assert_eq!(config.limits.messages_per_second, 0);
    assert_eq!(config.cors_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.jwt_secret.unwrap().expose_secret().len(), 32);
}

#[test]
fn a_value_may_stand_in_a_file() {
    let secret = file("a secret of at least thirty-two bytes\n");
    let path = secret.path().to_str().unwrap();
    let config = loaded("", &[("KITH_JWT_SECRET_FILE", path)], Flags::default()).unwrap().config;
    assert_eq!(config.jwt_secret.unwrap().expose_secret(), "a secret of at least thirty-two bytes");
    let both = [("KITH_JWT_SECRET_FILE", path), ("KITH_JWT_SECRET", "x")];
    assert!(refused("", &both).contains("both set"));
    assert!(refused("", &[("KITH_JWT_SECRET_FILE", "/nowhere")]).contains("cannot read /nowhere"));
}

#[test]
fn what_is_wrong_is_named_with_where_it_came_from() {
    let message = refused("", &[("KITH_LISTEN", "everywhere")]);
    assert!(message.contains("listen") && message.contains("environment"), "{message}");
    let message = refused("lisen = '127.0.0.1:1'", &[]);
    assert!(message.contains("lisen"), "{message}");
    let message = refused("", &[("KITH_LIMITS__SOCKETS_PER_USER", "many")]);
    assert!(message.contains("limits.sockets_per_user"), "{message}");
    assert!(
        refused("", &[("KITH_CORS_ORIGINS", "example.org")]).contains("https://chat.example.org")
    );
    assert!(refused("", &[("KITH_DATABASE_URL", "mysql://x")]).contains("sqlite://"));
    assert!(refused("", &[("KITH_TRUSTED_PROXIES", "proxy")]).contains("10.0.0.1"));
    for message in [refused("x", &[]), refused("", &[("KITH_SOCKETS__QUEUE", "0")])] {
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let flags = Flags { config: Some("/nowhere/kith.toml".into()), ..Flags::default() };
    let error = from(&flags, Environment::default()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/kith.toml"), "{error}");
}

#[test]
fn every_setting_is_shown_with_its_source_and_no_secret() {
    let variables = [("KITH_JWT_SECRET", "a secret of at least thirty-two bytes")];
    let toml = "listen = '127.0.0.1:9'\n[limits]\nlogins_per_minute = 7\n";
    let text = loaded(toml, &variables, Flags::default()).unwrap().describe();
    assert!(text.contains("limits.logins_per_minute = 7  # KITH_LIMITS__LOGINS_PER_MINUTE, TOML"));
    assert!(text.contains("listen = \"127.0.0.1:9\"  # KITH_LISTEN, TOML file"), "{text}");
    assert!(text.contains("jwt_secret = (hidden)  # KITH_JWT_SECRET, environment"), "{text}");
    assert!(
        text.contains("limits.sockets_per_user = 50  # KITH_LIMITS__SOCKETS_PER_USER, default")
    );
    assert!(!text.contains("thirty-two"));
    assert_eq!(text.lines().count(), SETTINGS.len());
}
