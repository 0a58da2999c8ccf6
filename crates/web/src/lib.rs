//! The web client, ready to be served.
//!
//! The client is plain ES modules under `assets`: no build step, no framework. This room embeds them,
//! and knows neither HTTP nor what they do. It says for each file what kind it is, how it is told from
//! an older one ([`File::etag`]), and holds it compressed.
//!
//! All modules stand under one folder that is named after what they hold ([`Client::build`]). They
//! import each other by relative paths, so that a page runs with the modules it was made with, and
//! each of them can be kept for ever. Only the page itself is asked for anew.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

/// What the page may do: run what stands beside it, and talk to its own server. Nothing inline,
/// nothing from elsewhere, no frame around it; and no string ever becomes markup or code.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types kith";

/// What modules are.
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
/// The page. Everything else is asked for by it.
const PAGE: &str = "index.html";
/// The worker that keeps the client at hand while the server is away. Its path is its reach, so it
/// stands at the root; it is no part of a build.
const WORKER: &str = "worker.js";

#[derive(RustEmbed)]
#[folder = "assets"]
struct Assets;

/// A file as it is sent.
#[derive(Clone, Debug)]
pub struct File {
    /// What is in it.
    pub body: Bytes,
    /// The same, compressed with gzip.
    pub gzip: Bytes,
    /// What tells it from an older one: a strong validator, in quotes.
    pub etag: String,
    /// That of the compressed one, which is other bytes.
    pub gzip_etag: String,
    /// What it is.
    pub content_type: &'static str,
}

/// All files of the client.
#[derive(Clone, Debug)]
pub struct Client {
    build: String,
    page: File,
    worker: File,
    files: BTreeMap<String, File>,
}

/// The client that is built in. It is made ready when it is first asked for.
pub fn client() -> &'static Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(Client::embedded);
    &CLIENT
}

impl Client {
    /// The name of the folder that the modules stand in: another one whenever one of them changes.
    pub fn build(&self) -> &str {
        &self.build
    }

    /// The page.
    pub const fn page(&self) -> &File {
        &self.page
    }

    /// The worker.
    pub const fn worker(&self) -> &File {
        &self.worker
    }

    /// A file of the build, by its path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// The files of the build.
    pub fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    fn embedded() -> Self {
        let mut paths: Vec<String> = Assets::iter().map(std::borrow::Cow::into_owned).collect();
        paths.sort();
        let mut whole = Sha256::new();
        let mut files = BTreeMap::new();
        for path in paths {
            let Some(asset) = Assets::get(&path) else { continue };
            whole.update(&path);
            whole.update(asset.metadata.sha256_hash());
            files.insert(path, asset.data.into_owned());
        }
        let build = short(&whole.finalize());
        let modules: Vec<String> = files
            .keys()
            .filter(|path| content_type(path) == JAVASCRIPT && *path != WORKER)
            .map(|path| format!("/app/{build}/{path}"))
            .collect();
        let mut written = |path: &str, what: &dyn Fn(String) -> String| {
            let text =
                String::from_utf8_lossy(&files.remove(path).unwrap_or_default()).into_owned();
            File::new(path, what(text).replace("{{build}}", &build).into_bytes())
        };
        let page = written(PAGE, &|text| text.replace("{{modules}}", &preloads(&modules)));
        let worker = written(WORKER, &|text| text.replace("{{modules}}", &modules.join(" ")));
        let files =
            files.into_iter().map(|(path, body)| (path.clone(), File::new(&path, body))).collect();
        Self { build, page, worker, files }
    }
}

impl File {
    fn new(path: &str, body: Vec<u8>) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail; what came out would be seen to be no gzip.
        let gzip = encoder.write_all(&body).and_then(|()| encoder.finish()).unwrap_or_default();
        let name = short(&Sha256::digest(&body));
        Self {
            etag: format!("\"{name}\""),
            gzip_etag: format!("\"{name}-gzip\""),
            content_type: content_type(path),
            body: body.into(),
            gzip: gzip.into(),
        }
    }
}

/// Has the browser ask for all modules at once, not only when the one before names them.
fn preloads(modules: &[String]) -> String {
    modules.iter().fold(String::new(), |mut links, path| {
        let _ = writeln!(links, "<link rel=\"modulepreload\" href=\"{path}\">");
        links
    })
}

/// The first 64 bits, in hexadecimal: enough to tell one build from another.
fn short(digest: &[u8]) -> String {
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => JAVASCRIPT,
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_modules_that_are_there() {
        let client = client();
        let page = String::from_utf8(client.page().body.to_vec()).unwrap();
        assert!(!page.contains("{{"), "{page}");
        let folder = format!("/app/{}/", client.build());
        let named: Vec<&str> =
            page.split('"').filter_map(|word| word.strip_prefix(folder.as_str())).collect();
        assert!(named.len() > 3, "{page}");
        for path in named {
            assert!(client.file(path).is_some(), "{path}");
        }
    }

    #[test]
    fn every_file_is_of_a_known_kind_and_smaller_compressed() {
        for (path, file) in client().files() {
            assert_ne!(file.content_type, "application/octet-stream", "{path}");
            assert!(file.gzip.len() < file.body.len() + 32, "{path}");
        }
    }

    #[test]
    fn the_first_load_is_small() {
        let client = client();
        let files = client.files().map(|(_, file)| file.gzip.len()).sum::<usize>();
        let all = files + client.page().gzip.len() + client.worker().gzip.len();
        assert!(all < 100_000, "{all} bytes");
    }

    #[test]
    fn nothing_is_written_into_the_page() {
        let page = String::from_utf8(client().page().body.to_vec()).unwrap();
        for inline in ["<style", "style=", "onload=", "onclick=", "<script>"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
