//! A PostgreSQL cluster for one test program.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Where distributions put the server's programs when they are not on the path.
const VERSIONS: &str = "/usr/lib/postgresql";
/// A loaded machine takes a while.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the server, and takes it and its directory away when the test program's end of the pipe closes, however it ended.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=200 -c unix_socket_permissions=0777 >"$2/log" 2>&1 &
read -r _
kill -INT $!
wait $!
rm -rf "$2"
"#;

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    directory: PathBuf,
    databases: AtomicU32,
    /// Its standard input is the pipe that the server lives by.
    _keeper: Child,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The programs are not there.
    #[error("PostgreSQL's server programs are not installed: apt-get install postgresql")]
    NotInstalled,
    /// A program cannot be run.
    #[error("cannot run {program}")]
    Run {
        /// Which.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {message}")]
    Failed {
        /// Which.
        program: String,
        /// What it said.
        message: String,
    },
    /// The server does not come up.
    #[error("the server does not answer; its log: {0}")]
    Silent(String),
}

impl Postgres {
    /// The cluster of this test program, started when it is first wanted.
    ///
    /// # Errors
    /// [`ServiceError`], by everybody who asks.
    pub fn shared() -> Result<&'static Self, &'static ServiceError> {
        static CLUSTER: OnceLock<Result<Postgres, ServiceError>> = OnceLock::new();
        CLUSTER.get_or_init(Self::start).as_ref()
    }

    /// Starts a cluster.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn start() -> Result<Self, ServiceError> {
        let programs = programs().ok_or(ServiceError::NotInstalled)?;
        let kept = tempfile::Builder::new().prefix("livepatch-postgres-").tempdir();
        let directory = kept.map_err(|source| ServiceError::Run { program: "mkdir".into(), source })?.keep();
        if is_root() {
            done(Command::new("chown").arg("postgres").arg(&directory))?;
        }
        let mut initdb = as_postgres(&programs.join("initdb"));
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ]);
        done(initdb.arg(directory.join("data")))?;
        let mut keeper = as_postgres(Path::new("sh"));
        let keeper = keeper
            .args(["-c", KEEPER, "keeper"])
            .args([&programs, &directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| ServiceError::Run { program: "sh".into(), source })?;
        let cluster = Self { programs, directory, databases: AtomicU32::new(0), _keeper: keeper };
        cluster.wait()?;
        Ok(cluster)
    }

    /// A fresh, empty database: its URL.
    ///
    /// # Errors
    /// [`ServiceError::Failed`].
    pub fn database(&self) -> Result<String, ServiceError> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// What `psql` prints for a statement, unaligned and without headings.
    ///
    /// # Errors
    /// [`ServiceError::Failed`].
    pub fn query(&self, database: &str, statement: &str) -> Result<String, ServiceError> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]);
        let output = done(psql.arg(&self.directory).args(["-d", database, "-c", statement]))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn url(&self, database: &str) -> String {
        let host = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@localhost/{database}?host={host}")
    }

    fn wait(&self) -> Result<(), ServiceError> {
        let limit = Instant::now() + PATIENCE;
        while self.query("postgres", "SELECT 1").is_err() {
            if Instant::now() >= limit {
                let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                return Err(ServiceError::Silent(log));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// The newest installed version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?.filter_map(Result::ok);
    let programs = versions.map(|version| version.path().join("bin"));
    programs.filter(|path| path.join("initdb").is_file()).max()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The server refuses to run as root: the package made a user for it.
fn as_postgres(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

fn done(command: &mut Command) -> Result<Output, ServiceError> {
    let program = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|source| ServiceError::Run { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(output);
    }
    Err(ServiceError::Failed { program, message: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
