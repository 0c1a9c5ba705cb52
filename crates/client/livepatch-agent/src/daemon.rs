//! `livepatchd`: one worker thread that owns the agent, and a listener whose connections ask for the status or hand
//! jobs to the worker. The status is read from the kernel and the records, so it answers while the worker works.

use crate::{
    agent::Agent,
    canonical_socket,
    config::{Config, ConfigError},
    desk::Desk,
    environment::{Environment, Step, SystemClock},
    hooks::Hooks,
    http::HttpService,
    news::Listening,
    records::Failure,
    refusal::Refusal,
    state_dir::{StateDir, StateError},
    wire::{Reply, Request, read_message, write_message},
};
use livepatch_host::{Host, ModuleLoader};
use rustix::{fs::inotify, net::sockopt::socket_peercred, process::geteuid};
use sd_notify::NotifyState;
use serde_json::json;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    fs,
    io::{self, BufReader},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};
use url::Url;

/// Where the daemon lives.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// The machine's root directory; anything else than `/` is a recorded tree that is never changed.
    pub root: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// The socket.
    pub socket: PathBuf,
    /// Where the configuration came from, to read it again.
    pub config_file: PathBuf,
    /// The configuration.
    pub config: Config,
}

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state directory does not work.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another daemon has it.
    #[error("another livepatchd uses {0}")]
    Running(PathBuf),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine or its records cannot be read.
    #[error("this machine's livepatch state cannot be read: {0}")]
    Start(#[source] Refusal),
    /// The socket, a thread or the signals.
    #[error("cannot {operation}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Where the owner's hooks are.
const HOOKS: &str = "/etc/livepatch/hooks.d";
/// Whom they must belong to.
const ROOT: u32 = 0;
/// Connections that may be open at once: status is cheap, but a local user must not exhaust the daemon's threads.
const MOST_CONNECTIONS: usize = 32;
/// A caller that neither asks nor takes its answer is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the worker may finish what it does when the daemon is told to stop.
const FAREWELL: Duration = Duration::from_secs(15);
/// After an error that could not be recorded.
const AFTER_ERROR: Duration = Duration::from_secs(30);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`DaemonError`] when it cannot start.
pub fn run(options: &DaemonOptions) -> Result<(), DaemonError> {
    let state = StateDir::open(&options.state_dir)?;
    let _lock = take(&state)?.ok_or_else(|| DaemonError::Running(options.state_dir.clone()))?;
    state.sweep();
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(system("watch for signals"))?;
    let service = HttpService::with(&options.config.connection())?;
    let agent = new_agent(options, state.clone(), service.clone())?;
    let stop = agent.stop_flag();
    let listener = listen(&options.socket).map_err(system("listen on the socket"))?;

    let (jobs, queue) = mpsc::channel();
    let desk = Arc::new(Desk {
        state: state.clone(),
        options: options.clone(),
        config: Arc::new(RwLock::new(options.config.clone())),
        service: RwLock::new(service),
        jobs: jobs.clone(),
        open: AtomicUsize::new(0),
    });
    let for_worker = Arc::clone(&desk);
    let worker = thread::Builder::new().name("worker".into()).spawn(move || work(agent, &queue, &for_worker));
    let worker = worker.map_err(system("start the worker"))?;
    watch_switch(&options.root, desk.jobs.clone());
    if options.config.canonical_sockets {
        open_canonical_sockets(&desk);
    }
    let reception = thread::Builder::new().name("listener".into()).spawn(move || receive(&listener, &desk));
    reception.map_err(system("start the listener"))?;

    notify(NotifyState::Ready);
    tracing::info!(socket = %options.socket.display(), "livepatchd is ready");
    signals.forever().next();
    notify(NotifyState::Stopping);
    stop.store(true, Ordering::Relaxed);
    let _ = jobs.send(Job::Stop);
    let asked = Instant::now();
    while !worker.is_finished() && asked.elapsed() < FAREWELL {
        thread::sleep(Duration::from_millis(20));
    }
    let _ = fs::remove_file(&options.socket);
    Agent::mark_stop(&state).map_err(DaemonError::Start)
}

/// The state directory's lock; a daemon that is just stopping may hold it for a moment.
fn take(state: &StateDir) -> Result<Option<fs::File>, StateError> {
    let asked = Instant::now();
    loop {
        let lock = state.lock()?;
        if lock.is_some() || asked.elapsed() > FAREWELL {
            return Ok(lock);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn new_agent(options: &DaemonOptions, state: StateDir, service: HttpService) -> Result<Agent, DaemonError> {
    let host = Host::new(&options.root);
    let environment = Environment {
        host: host.clone(),
        kernel: Box::new(ModuleLoader::new(host)),
        service: Box::new(service),
        clock: Box::new(SystemClock),
        hooks: hooks(options),
    };
    let phase = getrandom::u32().unwrap_or_else(|_| std::process::id().wrapping_mul(0x9E37_79B9));
    Agent::new(state, environment, options.config.clone(), phase).map_err(DaemonError::Start)
}

/// Hooks are run on the machine itself alone.
fn hooks(options: &DaemonOptions) -> Hooks {
    let here = options.root == Path::new("/");
    if here { Hooks::new(HOOKS.into(), ROOT) } else { Hooks::none() }
}

/// Has the worker look at the switch again when something in its directory changes; where that cannot be watched, the switch counts
/// all the same before each thing that is done.
fn watch_switch(root: &Path, jobs: Sender<Job>) {
    let directory = root.join("etc/livepatch");
    let watch = move || {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        let changes =
            inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::MOVE | inotify::WatchFlags::DELETE;
        inotify::add_watch(&inotify, &directory, changes)?;
        let mut buffer = [0; 4096];
        while rustix::io::read(&inotify, &mut buffer)? > 0 {
            if jobs.send(Job::Wake).is_err() {
                break;
            }
        }
        Ok::<(), rustix::io::Errno>(())
    };
    let run = move || {
        if let Err(error) = watch() {
            tracing::debug!(%error, "changes of the switch are not watched");
        }
    };
    if let Err(error) = thread::Builder::new().name("switch".into()).spawn(run) {
        tracing::debug!(%error, "changes of the switch are not watched");
    }
}

/// What the worker is asked to do.
pub(crate) enum Job {
    Do {
        request: Request,
        replies: Sender<Reply>,
    },
    /// Something may have changed: decide again.
    Wake,
    /// The server has something new: look within this time.
    News {
        server: Url,
        within: Duration,
    },
    Stop,
}

fn work(mut agent: Agent, queue: &Receiver<Job>, desk: &Desk) {
    let mut listening = listen_for_news(desk);
    loop {
        let wait = agent.settle(&mut |_: Step| {}).unwrap_or_else(|refusal| {
            tracing::error!(code = refusal.code(), "{refusal}");
            AFTER_ERROR
        });
        desk.publish_messages();
        if let (Some(listening), Ok(Some(known))) = (&mut listening, agent.known()) {
            listening.ask(known);
        }
        match queue.recv_timeout(wait) {
            Ok(Job::Do { request, replies }) => {
                let reloads = matches!(request, Request::Reload);
                let reply = perform(&mut agent, request, &replies, desk);
                if reloads {
                    listening = listen_for_news(desk);
                }
                // The caller may be gone; the work is done all the same.
                let _ = replies.send(reply);
            }
            Ok(Job::Wake) => {}
            Ok(Job::News { server, within }) => {
                if let Err(refusal) = agent.hear(&server, within) {
                    tracing::error!(code = refusal.code(), "{refusal}");
                }
            }
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// By the configuration as it is now.
fn listen_for_news(desk: &Desk) -> Option<Listening> {
    let wanted = desk.config.read().unwrap_or_else(PoisonError::into_inner).push;
    let service = desk.service.read().unwrap_or_else(PoisonError::into_inner).clone();
    wanted.then(|| Listening::start(service, desk.jobs.clone())).flatten()
}

fn perform(agent: &mut Agent, request: Request, replies: &Sender<Reply>, desk: &Desk) -> Reply {
    let mut progress = |step: Step| drop(replies.send(Reply::step(step.name, &step.text)));
    let result = match request {
        Request::Enable { token, server } => {
            parse_server(server).and_then(|server| agent.enable(&token, server, &mut progress))
        }
        Request::Disable => agent.disable(&mut progress).map(|()| None),
        Request::Refresh { apply } => agent.refresh(apply, &mut progress),
        Request::Undo { previous } => agent.undo(previous, &mut progress).map(|()| None),
        Request::DecideMitigation { name, wanted } => agent.decide_mitigation(&name, wanted).map(|()| None),
        Request::ClearBlocked { digest } => agent.clear_blocked(&digest).map(|_| None),
        Request::Reload => reload(agent, desk).map(|()| None),
        Request::GetStatus | Request::Ask(_) | Request::GetInfo | Request::GetInterfaceDescription { .. } => {
            Ok(None)
        }
    };
    match result {
        Ok(failure) => Reply::last(json!({"status": agent.status().ok(), "failure": failure})),
        Err(refusal) => refused(&refusal),
    }
}

/// Takes the configuration file as it is now; a wrong one leaves the configuration from before.
fn reload(agent: &mut Agent, desk: &Desk) -> Result<(), Refusal> {
    let path = &desk.options.config_file;
    let wrong = |error: ConfigError| Refusal::Configuration(error.to_string());
    let config = Config::load(path).map_err(wrong)?;
    let service = HttpService::with(&config.connection()).map_err(wrong)?;
    agent.environment.service = Box::new(service.clone());
    *desk.service.write().unwrap_or_else(PoisonError::into_inner) = service;
    agent.config = config.clone();
    *desk.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    tracing::info!(path = %path.display(), "the configuration was read again");
    Ok(())
}

fn parse_server(server: Option<String>) -> Result<Option<Url>, Refusal> {
    let parse =
        |text: String| text.parse().map_err(|_| Refusal::MalformedServer(text.chars().take(200).collect()));
    server.map(parse).transpose()
}

fn refused(refusal: &Refusal) -> Reply {
    Reply::refused(&refusal.to_failure())
}

fn receive(listener: &UnixListener, desk: &Arc<Desk>) {
    for stream in listener.incoming() {
        let Ok((stream, may_change)) = stream.and_then(|stream| may_change(&stream).map(|may| (stream, may)))
        else {
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        // Others may fill the room, but not keep root out of it.
        if desk.open.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS && !may_change {
            desk.open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let at = Arc::clone(desk);
        let spawned = thread::Builder::new().name("connection".into()).spawn(move || {
            if let Err(error) = converse(&at, stream, may_change) {
                tracing::debug!(%error, "a connection ended early");
            }
            at.open.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            desk.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whether the peer, whose user id the kernel vouches for, may change the machine: root, or whoever runs the daemon.
fn may_change(stream: &UnixStream) -> io::Result<bool> {
    let uid = socket_peercred(stream)?.uid;
    Ok(uid.is_root() || uid == geteuid())
}

fn converse(desk: &Desk, stream: UnixStream, may_change: bool) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    while let Some(call) = read_message(&mut input)? {
        match Request::from_call(&call) {
            Err(error) => write_message(&mut output, &Reply::not_understood(&error))?,
            Ok(request) if !request.changes() => write_message(&mut output, &desk.answer(&request))?,
            Ok(_) if !may_change => write_message(&mut output, &Reply::permission_denied())?,
            Ok(request) => pass_on(desk, request, call.more, &mut output)?,
        }
    }
    Ok(())
}

/// Hands a job to the worker and its replies to the caller.
fn pass_on(desk: &Desk, request: Request, more: bool, output: &mut UnixStream) -> io::Result<()> {
    let (replies, answers) = mpsc::channel();
    if desk.jobs.send(Job::Do { request, replies }).is_err() {
        return write_message(output, &stopping());
    }
    for reply in answers {
        if more || !reply.continues {
            write_message(output, &reply)?;
        }
        if !reply.continues {
            return Ok(());
        }
    }
    write_message(output, &stopping())
}

fn stopping() -> Reply {
    Reply::refused(&Failure {
        code: "stopping".into(),
        message: "livepatchd is stopping: try again when it runs".into(),
    })
}

/// Opens the Canonical client's sockets. Nothing depends on them, so what goes wrong is logged and no more.
fn open_canonical_sockets(desk: &Arc<Desk>) {
    let directory = desk.options.root.join(canonical_socket::DIRECTORY);
    for (name, root_only) in [(canonical_socket::SOCKET, false), (canonical_socket::ROOT_SOCKET, true)] {
        let path = directory.join(name);
        let desk = Arc::clone(desk);
        let listener = listen(&path);
        let spawned = listener.and_then(|listener| {
            let serve = move || listener.incoming().for_each(|stream| serve_http(&desk, stream, root_only));
            thread::Builder::new().name("canonical".into()).spawn(serve)
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, path = %path.display(), "the Canonical client's socket cannot be opened");
        }
    }
}

/// One request after the other: desktop tools ask now and then, and each has [`PATIENCE`] to do it.
fn serve_http(desk: &Desk, stream: io::Result<UnixStream>, root_only: bool) {
    let served = stream.and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let may_change = root_only && may_change(&stream)?;
        canonical_socket::converse(stream, |request| desk.http(request, may_change))
    });
    if let Err(error) = served {
        tracing::debug!(%error, "a request at the Canonical client's socket ended early");
    }
}

/// Listens on a socket that anyone may connect to; who may change things is checked for each call.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // The state directory's lock is held, so a socket that is there is a dead daemon's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

fn system(operation: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |source| DaemonError::System { operation, source }
}
