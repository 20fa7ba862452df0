//! Who asks an object store: the settings and credentials of the environment and of the files that the store's own
//! tools use.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;

use super::error::{StorageError, printable};
use super::http::{CountedConnector, Limits};
use super::location::{ObjectsAt, Service};
use super::meter::Meter;

/// The environment, or what stands for it in a test.
#[derive(Clone, Default)]
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let texts =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        texts.collect()
    }

    /// A setting that is there and not empty.
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Those of one service.
    fn of(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let own = self.0.keys().filter(move |key| key.starts_with(prefix));
        own.filter_map(|key| Some((key.as_str(), self.get(key)?)))
    }

    /// Values that are in no message.
    fn secrets(&self) -> Vec<String> {
        let is_secret = |key: &str| ["KEY", "SECRET", "TOKEN", "SAS", "PASSWORD"].iter().any(|word| key.contains(word));
        let services = ["AWS_", "AZURE_", "GOOGLE_"];
        let own = services.iter().flat_map(|prefix| self.of(prefix));
        // Shorter ones are switches such as `true`, and would blank out half of a message.
        let secret = own.filter(|(key, value)| is_secret(key) && value.len() >= 8);
        secret.map(|(_, value)| value.to_owned()).collect()
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// A store that can be asked, and what must not be said of it.
pub(super) struct Connected {
    pub store: Arc<dyn ObjectStore>,
    pub secrets: Vec<String>,
}

/// Prepares the client of a store; nothing is sent.
pub(super) fn connect(
    url: &str,
    at: &ObjectsAt,
    mut settings: Settings,
    limits: Limits,
    meter: &Arc<Meter>,
) -> Result<Connected, StorageError> {
    let wrong =
        |reason: String| StorageError::WrongCredentials { url: url.to_owned(), reason, from: at.service.credentials() };
    if at.service == Service::S3 {
        add_aws_files(&mut settings).map_err(wrong)?;
    }
    check_settings(at.service, &settings).map_err(wrong)?;
    // Another part of the program may have chosen already, and as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let secrets = settings.secrets();
    let connector = CountedConnector { meter: Arc::clone(meter), limits };
    let built = match at.service {
        Service::S3 => s3(at, &settings, connector),
        Service::Google => google(at, &settings, connector),
        Service::Azure => azure(at, &settings, connector),
    };
    match built {
        Ok(store) => Ok(Connected { store, secrets }),
        Err(error) => Err(wrong(without_secrets(&error.to_string(), &secrets))),
    }
}

fn s3(at: &ObjectsAt, settings: &Settings, connector: CountedConnector) -> object_store::Result<Arc<dyn ObjectStore>> {
    let plain = settings.get(S3_ENDPOINT).or(settings.get(ENDPOINT)).is_some_and(|url| url.starts_with("http://"));
    let mut builder = AmazonS3Builder::new()
        .with_client_options(connector.limits.options().with_allow_http(plain))
        .with_retry(connector.limits.retries())
        .with_http_connector(connector);
    for (key, value) in settings.of("AWS_") {
        if let Ok(key) = key.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(Arc::new(builder.with_bucket_name(&at.bucket).build()?))
}

fn google(
    at: &ObjectsAt,
    settings: &Settings,
    connector: CountedConnector,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_client_options(connector.limits.options())
        .with_retry(connector.limits.retries())
        .with_http_connector(connector);
    if let Some(file) = settings.get("SERVICE_ACCOUNT") {
        builder = builder.with_service_account_path(file);
    }
    for (key, value) in settings.of("GOOGLE_") {
        if let Ok(key) = key.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(Arc::new(builder.with_bucket_name(&at.bucket).build()?))
}

fn azure(
    at: &ObjectsAt,
    settings: &Settings,
    connector: CountedConnector,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let endpoints = ["AZURE_ENDPOINT", "AZURE_STORAGE_ENDPOINT"];
    let plain = endpoints.iter().any(|key| settings.get(key).is_some_and(|url| url.starts_with("http://")));
    let mut builder = MicrosoftAzureBuilder::new()
        .with_client_options(connector.limits.options().with_allow_http(plain))
        .with_retry(connector.limits.retries())
        .with_http_connector(connector);
    if let Some(endpoint) = settings.get("MSI_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    // The endpoint of a URL, and then that of the environment: an emulator's.
    if let Some(endpoint) = at.azure_endpoint() {
        builder = builder.with_endpoint(endpoint);
    }
    for (key, value) in settings.of("AZURE_") {
        if let Ok(key) = key.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(account) = at.azure_account() {
        builder = builder.with_account(account);
    }
    Ok(Arc::new(builder.with_container_name(&at.bucket).build()?))
}

const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const S3_ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";

/// Adds what the environment leaves open from `~/.aws/credentials` and `~/.aws/config`, the files of the aws command.
/// What the environment says wins, as it does there.
fn add_aws_files(settings: &mut Settings) -> Result<(), String> {
    let home = settings.get("HOME").map(PathBuf::from);
    let place = |variable: &str, name: &str| {
        let default = || home.as_ref().map(|home| home.join(".aws").join(name));
        settings.get(variable).map(PathBuf::from).or_else(default)
    };
    let read = |variable: &str, name: &str| {
        let text = place(variable, name).and_then(|path| fs::read_to_string(path).ok());
        sections(&text.unwrap_or_default())
    };
    let (mut credentials, mut config) =
        (read("AWS_SHARED_CREDENTIALS_FILE", "credentials"), read("AWS_CONFIG_FILE", "config"));
    let named = settings.get("AWS_PROFILE").or(settings.get("AWS_DEFAULT_PROFILE")).map(str::to_owned);
    let profile = named.clone().unwrap_or_else(|| "default".to_owned());
    let in_config = if profile == "default" { profile.clone() } else { format!("profile {profile}") };
    let credentials = credentials.remove(&profile);
    let config = config.remove(&in_config);
    let asks_elsewhere = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"]
        .iter()
        .chain(&["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"])
        .any(|key| settings.get(key).is_some());
    let has_keys = settings.get("AWS_ACCESS_KEY_ID").is_some() || settings.get("AWS_SECRET_ACCESS_KEY").is_some();
    if !has_keys && !asks_elsewhere {
        let both = [&credentials, &config];
        let keys = both.into_iter().flatten().find(|section| section.contains_key("aws_access_key_id"));
        match keys {
            Some(section) => {
                for key in ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"] {
                    if let Some(value) = section.get(key) {
                        settings.0.insert(key.to_ascii_uppercase(), value.clone());
                    }
                }
            }
            None if named.is_some() => {
                return Err(format!(
                    "the profile `{}` of AWS_PROFILE has no aws_access_key_id in ~/.aws/credentials or ~/.aws/config (for \
                     a profile of another kind take the output of `aws configure export-credentials --format env`)",
                    printable(&profile, 80)
                ));
            }
            None => {}
        }
    }
    for (variable, key) in [("AWS_REGION", "region"), (ENDPOINT, "endpoint_url")] {
        let is_open =
            settings.get(variable).is_none() && (key != "region" || settings.get("AWS_DEFAULT_REGION").is_none());
        if let Some(value) = config.as_ref().and_then(|section| section.get(key)).filter(|_| is_open) {
            settings.0.insert(variable.to_owned(), value.clone());
        }
    }
    Ok(())
}

/// The `[sections]` of an INI file, with their `key = value` lines. Nested ones (indented) are left out.
fn sections(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', ';', ' ', '\t'])) {
        if let Some(section) = line.trim_end().strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section.split_whitespace().collect::<Vec<_>>().join(" ").clone_into(&mut name);
        } else if let Some((key, value)) = line.split_once('=') {
            let section = sections.entry(name.clone()).or_default();
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    sections
}

/// Refuses what the client would stumble over: it builds URLs and headers of these.
fn check_settings(service: Service, settings: &Settings) -> Result<(), String> {
    let prefix = match service {
        Service::S3 => "AWS_",
        Service::Azure => "AZURE_",
        // Its settings are files, and a key that is a JSON document.
        Service::Google => return Ok(()),
    };
    for (key, value) in settings.of(prefix) {
        if !value.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(format!(
                "{key} has characters that do not belong in it (line breaks, or letters beyond ASCII)"
            ));
        }
        if key.contains("ENDPOINT") && !is_endpoint(value) {
            return Err(format!("{key} is not the http:// or https:// URL of a host, without credentials"));
        }
        if key.contains("REGION") && !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!("{key} is not the name of a region: letters, digits and `-`"));
        }
        if key.contains("ACCOUNT_NAME") && !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!("{key} is not the name of an account: letters and digits"));
        }
    }
    Ok(())
}

fn is_endpoint(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && !text.contains(' ')
    })
}

/// A text of which secrets are taken out.
pub(super) fn without_secrets(text: &str, secrets: &[String]) -> String {
    let clean = secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"));
    printable(&clean, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_files_of_the_aws_command_fill_what_the_environment_leaves_open() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(
            home.path().join(".aws/credentials"),
            "# mine\n[default]\naws_access_key_id = ID1\naws_secret_access_key=SECRET=1\n\n\
             [other]\naws_access_key_id = ID2\naws_secret_access_key = SECRET2\naws_session_token = TOKEN2\n",
        )
        .unwrap();
        fs::write(
            home.path().join(".aws/config"),
            "[default]\nregion = eu-west-1\ns3 =\n  region = nested\n[profile other]\nregion = eu-north-1\n\
             endpoint_url = http://localhost:9000\n[profile sso]\nsso_session = x\n",
        )
        .unwrap();
        let home = home.path().to_str().unwrap();
        let with = |pairs: &[(&str, &str)]| {
            let mut settings = settings(pairs);
            settings.0.insert("HOME".to_owned(), home.to_owned());
            add_aws_files(&mut settings).map(|()| settings)
        };
        let keys = |settings: &Settings| {
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", ENDPOINT]
                .map(|key| settings.get(key).unwrap_or("-").to_owned())
        };
        assert_eq!(keys(&with(&[]).unwrap()), ["ID1", "SECRET=1", "-", "eu-west-1", "-"]);
        let other = with(&[("AWS_PROFILE", "other")]).unwrap();
        assert_eq!(keys(&other), ["ID2", "SECRET2", "TOKEN2", "eu-north-1", "http://localhost:9000"]);
        let env = with(&[("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "S"), ("AWS_DEFAULT_REGION", "r")]);
        assert_eq!(keys(&env.unwrap()), ["E", "S", "-", "-", "-"]);
        let role = with(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")]).unwrap();
        assert_eq!(keys(&role), ["-", "-", "-", "eu-west-1", "-"]);
        for profile in ["sso", "missing"] {
            let error = with(&[("AWS_PROFILE", profile)]).err().unwrap();
            assert!(error.contains(&format!("profile `{profile}`")), "{error}");
        }
    }

    #[test]
    fn settings_that_no_client_takes_are_refused_by_name_without_their_value() {
        let wrong = [
            ("AWS_SECRET_ACCESS_KEY", "hunter2\nhunter2"),
            ("AWS_ACCESS_KEY_ID", "hunter2é"),
            ("AWS_ENDPOINT_URL", "hunter2"),
            ("AWS_ENDPOINT_URL", "http://user:hunter2@host"),
            ("AWS_ENDPOINT_URL_S3", "http://host hunter2"),
            ("AWS_REGION", "hunter2.evil/"),
        ];
        for (key, value) in wrong {
            let error = check_settings(Service::S3, &settings(&[(key, value)])).unwrap_err();
            assert!(error.starts_with(key) && !error.contains("hunter2"), "{error}");
        }
        let good = settings(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/"), ("AWS_REGION", "eu-west-1")]);
        assert_eq!(check_settings(Service::S3, &good), Ok(()));
        assert!(check_settings(Service::Azure, &settings(&[("AZURE_STORAGE_ACCOUNT_NAME", "a/b")])).is_err());
    }

    #[test]
    fn secrets_are_taken_out_of_texts() {
        let settings = settings(&[("AWS_SECRET_ACCESS_KEY", "abcdefgh"), ("AWS_REGION", "somewhere")]);
        let text = without_secrets("abcdefgh in somewhere\n", &settings.secrets());
        assert_eq!(text, "*** in somewhere\\n");
    }
}
