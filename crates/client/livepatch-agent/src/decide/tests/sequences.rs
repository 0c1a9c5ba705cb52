//! Sequences of anything that can happen: the kernel and the records are played by rules as simple as possible, and what must always
//! hold is checked after each step.

use super::*;
use livepatch_host::{Frame, Incident, IncidentKind};
use proptest::prelude::*;

/// Something that happens to the machine.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Time passes.
    Pass(u16),
    /// The transition that runs, if any, ends.
    TransitionEnds,
    /// The kernel complains of the livepatch, or of something else.
    Complaint { own: bool, severe: bool },
    /// The machine goes down without a word.
    Crash,
    /// The machine is rebooted properly.
    Reboot,
    /// The daemon dies and starts again.
    Restart,
    /// A look at the repository, which offers up to this version.
    Look(u8),
    /// The owner takes back what is applied.
    Undo,
    /// Somebody else takes out what is applied.
    TakeOut,
    /// The emergency switch.
    Switch(Mode),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (1u16..700).prop_map(Happening::Pass),
        Just(Happening::TransitionEnds),
        (any::<bool>(), any::<bool>()).prop_map(|(own, severe)| Happening::Complaint { own, severe }),
        Just(Happening::Crash),
        Just(Happening::Reboot),
        Just(Happening::Restart),
        (1u8..4).prop_map(Happening::Look),
        Just(Happening::Undo),
        Just(Happening::TakeOut),
        prop_oneof![Just(Mode::Normal), Just(Mode::NoApply), Just(Mode::NoRefresh), Just(Mode::Stop)]
            .prop_map(Happening::Switch),
    ]
}

/// A world that does what is decided.
struct Play {
    world: World,
    boot: String,
    boots: u32,
    /// Whether the last action was carried out and the world came to rest.
    loads: Vec<(String, Digest)>,
}

impl Play {
    fn new() -> Self {
        Self { world: World::idle(), boot: BOOT.into(), boots: 1, loads: vec![] }
    }

    fn decide(&self) -> Action {
        decide(&Facts { boot_id: &self.boot, ..self.world.facts() })
    }

    fn happen(&mut self, happening: Happening) {
        let world = &mut self.world;
        match happening {
            Happening::Pass(seconds) => world.uptime += Duration::from_secs(seconds.into()),
            Happening::TransitionEnds => {
                for livepatch in &mut world.livepatches {
                    livepatch.transition = false;
                }
                world.livepatches.retain(|livepatch| livepatch.enabled);
            }
            Happening::Complaint { own, severe } => {
                let module = world.intent.as_ref().filter(|_| own).map(|intent| intent.manifest.name.clone());
                world.incidents.push(Incident {
                    kind: if severe { IncidentKind::Oops } else { IncidentKind::Warning },
                    headline: "words".into(),
                    sequence: 0,
                    frames: vec![Frame { function: "f".into(), module, reliable: true }],
                });
            }
            Happening::Crash | Happening::Reboot => {
                let proper = matches!(happening, Happening::Reboot);
                if let Some(intent) = world.intent.as_mut().filter(|_| proper) {
                    intent.stopped_cleanly = true;
                }
                self.boots += 1;
                self.boot = format!("00000000-0000-0000-0000-{:012}", self.boots);
                (world.livepatches, world.modules, world.incidents) = (vec![], vec![], vec![]);
                (world.stuck, world.attempt) = (vec![], None);
                world.uptime = Duration::from_secs(30);
            }
            Happening::Restart => world.stuck.clear(),
            Happening::Look(greatest) => {
                let mut catalogue = World::offering(&(1..=u32::from(greatest)).collect::<Vec<_>>()).catalogue;
                let seen = catalogue.as_mut().unwrap();
                seen.boot_id.clone_from(&self.boot);
                seen.uptime_ms = u64::try_from(world.uptime.as_millis()).unwrap();
                world.catalogue = catalogue;
                if let Some(attempt) = &mut world.attempt {
                    attempt.retry = true;
                }
            }
            Happening::Undo => {
                if let Some(version) = world.intent.as_ref().map(|intent| intent.manifest.version) {
                    undo_by_owner(world, version);
                }
            }
            Happening::TakeOut => (world.livepatches, world.modules) = (vec![], vec![]),
            Happening::Switch(mode) => world.circumstances.mode = mode,
        }
    }

    /// Does what is decided until there is nothing to do, or only to wait.
    fn settle(&mut self) -> Action {
        for _ in 0..40 {
            let action = self.decide();
            match &action {
                Action::Rest(_) | Action::Poll | Action::Refresh | Action::Report => return action,
                other => self.execute(other.clone()),
            }
        }
        panic!("it does not come to rest: {:?}, {:?}", self.decide(), self.world.intent);
    }

    fn execute(&mut self, action: Action) {
        let now_ms = u64::try_from(self.world.uptime.as_millis()).unwrap();
        let world = &mut self.world;
        match action {
            Action::BlockCrashed => {
                let intent = world.intent.take().unwrap();
                self.forbid(&intent.manifest);
            }
            Action::Forget(_) => world.intent = None,
            Action::Enter(phase) => {
                let intent = world.intent.as_mut().unwrap();
                (intent.phase, intent.phase_began_ms) = (phase, now_ms);
            }
            Action::Confirm => {
                let intent = world.intent.as_mut().unwrap();
                intent.phase = Phase::Confirmed;
                world.confirmed.add(&intent.manifest.module.sha256);
            }
            Action::Undo(reason) => {
                let intent = world.intent.as_mut().unwrap();
                (intent.phase, intent.phase_began_ms) = (undoing(reason), now_ms);
                let manifest = intent.manifest.clone();
                for livepatch in &mut world.livepatches {
                    (livepatch.enabled, livepatch.transition) = (false, true);
                }
                if reason == UndoReason::Trouble {
                    self.forbid(&manifest);
                }
            }
            Action::RemoveModule(name) => world.modules.retain(|module| module.name != name),
            Action::FinishUndo => {
                let intent = world.intent.take().unwrap();
                world.attempt = Some(Attempt {
                    boot_id: self.boot.clone(),
                    at: jiff::Timestamp::UNIX_EPOCH,
                    sha256: intent.manifest.module.sha256,
                    name: intent.manifest.name,
                    failure: Failure { code: "x".into(), message: String::new() },
                    retry: false,
                    tasks: vec![],
                    count: 1,
                    uptime_ms: now_ms,
                });
            }
            Action::Adopt(manifest) => self.begin(*manifest, Phase::Soaking),
            Action::Apply(manifest) => self.load(*manifest),
            Action::Poll | Action::Rest(_) | Action::Refresh | Action::Report => {}
        }
    }

    /// What every load must be: allowed by mode, blocks, owner.
    fn load(&mut self, manifest: Manifest) {
        let world = &self.world;
        let sha256 = &manifest.module.sha256;
        assert!(world.blocked.find(sha256).is_none(), "a blocked digest is loaded");
        assert!(world.circumstances.mode.may_apply(), "{}", world.circumstances.mode);
        assert!(!is_undone(&world.facts(), &manifest), "what the owner took back");
        assert!(world.livepatches.iter().all(|livepatch| !livepatch.transition), "a transition is running");
        self.loads.push((self.boot.clone(), sha256.clone()));
        let name = manifest.name.clone();
        self.begin(manifest, Phase::Transition);
        let world = &mut self.world;
        world.incidents.clear();
        world.livepatches =
            vec![LoadedLivepatch { name: name.clone(), enabled: true, transition: true, objects: vec![] }];
        world.modules.push(LoadedModule { name, references: Some(1), live: true, taints: "OEK".into() });
        for module in &mut world.modules {
            module.references = Some(u32::from(world.livepatches[0].name == module.name));
        }
    }

    fn begin(&mut self, manifest: Manifest, phase: Phase) {
        let world = &mut self.world;
        world.intent = Some(Intent {
            boot_id: self.boot.clone(),
            manifest,
            phase,
            phase_began_ms: u64::try_from(world.uptime.as_millis()).unwrap(),
            began: jiff::Timestamp::UNIX_EPOCH,
            taint_before: Taint(0),
            log_from: Some(0),
            stopped_cleanly: false,
            replaces: None,
        });
    }

    fn forbid(&mut self, manifest: &Manifest) {
        self.world.confirmed.digests.retain(|digest| *digest != manifest.module.sha256);
        block(&mut self.world, manifest.version);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_it_comes_to_rest_and_keeps_its_promises(
        happenings in prop::collection::vec(happening(), 0..40)
    ) {
        let mut play = Play::new();
        for happening in happenings {
            play.happen(happening);
            let action = play.settle();
            let world = &play.world;
            if let Some(intent) = &world.intent {
                prop_assert_eq!(&intent.boot_id, &play.boot, "an intent of another boot is dealt with");
                let waits = matches!(action, Action::Poll | Action::Rest(Some(_)));
                let moving = matches!(intent.phase, Phase::Loading | Phase::Transition | Phase::Undoing { .. });
                prop_assert!(!moving || waits, "what moves is looked after: {:?} {:?}", intent.phase, action);
                let blocked = world.blocked.find(&intent.manifest.module.sha256).is_some();
                prop_assert!(!blocked || matches!(intent.phase, Phase::Undoing { .. }), "blocked and in the kernel");
            } else {
                prop_assert!(world.livepatches.iter().all(|livepatch| !livepatch.enabled), "nobody watches it");
            }
        }
    }

    #[test]
    fn a_stalled_transition_always_ends(happenings in prop::collection::vec(happening(), 0..20)) {
        let mut play = Play::new();
        play.happen(Happening::Look(2));
        play.settle();
        for happening in happenings.into_iter().filter(|one| !matches!(one, Happening::TransitionEnds)) {
            play.happen(happening);
            play.settle();
        }
        play.happen(Happening::Pass(130));
        play.settle();
        let applying = play.world.intent.as_ref().is_some_and(|intent| intent.phase == Phase::Transition);
        prop_assert!(!applying, "the deadline counts, whatever else happened");
    }
}
