//! Where settings come from.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format as _, Serialized, Toml},
    value::{Dict, Empty, Map, Tag, Value},
};

use super::Config;
use crate::{Failure, cli::Flags};

/// The file that is read if it is there and no other is named.
const FILE: &str = "kith.toml";

/// Every setting, with how `config print` shows its default. What is not in this list does not
/// exist; what is secret is never shown.
const SETTINGS: &[(&str, Kind)] = &[
    ("listen", Kind::Text),
    ("data_dir", Kind::Text),
    ("database_url", Kind::Secret),
    ("postgres.connections", Kind::Number),
    ("postgres.lanes", Kind::Number),
    ("redis_url", Kind::Secret),
    ("nodes.tail_ms", Kind::Number),
    ("nodes.lease_ms", Kind::Number),
    ("jwt_secret", Kind::Secret),
    ("jwt_previous_secret", Kind::Secret),
    ("public_url", Kind::Text),
    ("cors_origins", Kind::Text),
    ("trusted_proxies", Kind::Text),
    ("log.filter", Kind::Text),
    ("log.format", Kind::Text),
    ("limits.messages_per_second", Kind::Number),
    ("limits.requests_per_second", Kind::Number),
    ("limits.logins_per_minute", Kind::Number),
    ("limits.sockets_per_user", Kind::Number),
    ("limits.sockets_per_address", Kind::Number),
    ("sockets.heartbeat_seconds", Kind::Number),
    ("sockets.queue", Kind::Number),
    ("sockets.offline_grace_ms", Kind::Number),
    ("passwords.memory_kib", Kind::Number),
    ("passwords.iterations", Kind::Number),
    ("shutdown.close_spread_ms", Kind::Number),
    ("shutdown.deadline_seconds", Kind::Number),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Secret,
}

/// The settings, and where each came from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    figment: Figment,
}

/// Reads flags, environment, file and defaults.
///
/// # Errors
/// A setting that does not exist or has the wrong form, a file that cannot be read.
pub fn load(flags: &Flags) -> Result<Loaded, Failure> {
    let environment = Environment::read(&std::env::vars().collect())?;
    from(flags, environment)
}

fn from(flags: &Flags, environment: Environment) -> Result<Loaded, Failure> {
    let named = flags.config.clone().or_else(|| environment.file.clone().map(Into::into));
    let file = named.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let figment = match (file.exists(), named) {
        (true, _) => Figment::from(Toml::file_exact(file)),
        (false, None) => Figment::new(),
        (false, Some(file)) => {
            let missing = format!("there is no configuration file {}", file.display());
            return Err(Failure::Config(missing));
        }
    };
    let figment = figment.merge(environment).merge(Given(Serialized::defaults(flags)));
    let config: Config = figment.extract().map_err(|error| explain(&error))?;
    config.check()?;
    Ok(Loaded { config, figment })
}

fn explain(error: &figment::Error) -> Failure {
    let key = error.path.join(".");
    let place = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(source) => format!(" ({}: {source})", metadata.name),
        None => format!(" ({})", metadata.name),
    });
    let setting = if key.is_empty() { "the configuration".to_owned() } else { key };
    let reason = error.kind.to_string();
    let reason: Vec<&str> = reason.split_whitespace().collect();
    Failure::Config(format!("{setting}: {}{}", reason.join(" "), place.unwrap_or_default()))
}

/// `KITH_…` variables, `__` for nesting, `…_FILE` for the name of a file that holds the value.
#[derive(Debug, Default)]
struct Environment {
    values: BTreeMap<&'static str, (String, Kind)>,
    file: Option<String>,
}

impl Environment {
    fn read(variables: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let mut environment =
            Self { file: variables.get("KITH_CONFIG").cloned(), ..Self::default() };
        for &(key, kind) in SETTINGS {
            let name = variable(key);
            let file = format!("{name}_FILE");
            let value = match (variables.get(&name), variables.get(&file)) {
                (Some(_), Some(_)) => {
                    return Err(Failure::Config(format!(
                        "{name} and {file} are both set: set one"
                    )));
                }
                (Some(value), None) => value.clone(),
                (None, Some(path)) => std::fs::read_to_string(path)
                    .map_err(|error| {
                        Failure::Config(format!("{file}: cannot read {path}: {error}"))
                    })?
                    .trim_end_matches(['\r', '\n'])
                    .to_owned(),
                (None, None) => continue,
            };
            environment.values.insert(key, (value, kind));
        }
        Ok(environment)
    }
}

/// The variable of a setting.
fn variable(key: &str) -> String {
    format!("KITH_{}", key.replace('.', "__").to_uppercase())
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment").interpolater(|_, keys| variable(&keys.join(".")))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (key, (text, kind)) in &self.values {
            let value = match (kind, text.parse::<u64>()) {
                (Kind::Number, Ok(number)) => Value::from(number),
                _ => Value::from(text.clone()),
            };
            let (parent, leaf) = key.rsplit_once('.').unwrap_or(("", key));
            if parent.is_empty() {
                dict.insert(leaf.to_owned(), value);
            } else {
                let nested = dict
                    .entry(parent.to_owned())
                    .or_insert_with(|| Value::Dict(Tag::default(), Dict::new()));
                if let Value::Dict(_, nested) = nested {
                    nested.insert(leaf.to_owned(), value);
                }
            }
        }
        Ok(Profile::Default.collect(dict))
    }
}

/// The flags that were given.
struct Given<'a>(Serialized<&'a Flags>);

impl Provider for Given<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("flag")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.0.data()
    }
}

impl Loaded {
    /// Every setting, one a line, as `kith.toml` would have it, with where it came from.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for &(key, kind) in SETTINGS {
            let found = self.figment.find_value(key).ok().filter(|value| !is_none(value));
            let (shown, origin) = match &found {
                Some(value) => {
                    let metadata = self.figment.get_metadata(value.tag());
                    let origin = metadata.map_or("?", |metadata| metadata.name.as_ref());
                    let shown =
                        if kind == Kind::Secret { "(hidden)".to_owned() } else { show(value) };
                    (shown, origin.to_owned())
                }
                None => (default_of(key), "default".to_owned()),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} = {shown}  # {}, {origin}", variable(key));
        }
        text
    }
}

fn is_none(value: &Value) -> bool {
    matches!(value, Value::Empty(_, Empty::None))
}

fn show(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Num(_, number) => number
            .to_i128()
            .or_else(|| number.to_u128().and_then(|number| number.try_into().ok()))
            .map_or_else(|| "?".to_owned(), |number| number.to_string()),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Array(_, items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        _ => "?".to_owned(),
    }
}

fn default_of(key: &str) -> String {
    let config = Config::default();
    match key {
        "listen" => format!("{:?}", config.listen.to_string()),
        "data_dir" => format!("\"{}\"", config.data_dir.display()),
        "log.filter" => format!("{:?}", config.log.filter),
        "log.format" => "\"auto\"".to_owned(),
        "postgres.connections" => config.postgres.connections.to_string(),
        "postgres.lanes" => config.postgres.lanes.to_string(),
        "limits.messages_per_second" => config.limits.messages_per_second.to_string(),
        "limits.requests_per_second" => config.limits.requests_per_second.to_string(),
        "limits.logins_per_minute" => config.limits.logins_per_minute.to_string(),
        "limits.sockets_per_user" => config.limits.sockets_per_user.to_string(),
        "limits.sockets_per_address" => config.limits.sockets_per_address.to_string(),
        "sockets.heartbeat_seconds" => config.sockets.heartbeat_seconds.to_string(),
        "sockets.queue" => config.sockets.queue.to_string(),
        "sockets.offline_grace_ms" => config.sockets.offline_grace_ms.to_string(),
        "passwords.memory_kib" => config.passwords.memory_kib.to_string(),
        "passwords.iterations" => config.passwords.iterations.to_string(),
        "shutdown.close_spread_ms" => config.shutdown.close_spread_ms.to_string(),
        "shutdown.deadline_seconds" => config.shutdown.deadline_seconds.to_string(),
        "cors_origins" | "trusted_proxies" => "[]".to_owned(),
        _ => "(none)".to_owned(),
    }
}

#[cfg(test)]
mod tests;
