//! A token that the server never made, although it pins the right trust anchor.

use crate::scene::{Scene, TIER, assert_applied, assert_untouched};
use livepatch_api::EnrolmentToken;

#[test]
fn an_unknown_token_enrols_nobody() {
    let scene = Scene::new();
    let site = scene.site();
    site.publish(&scene.prepared.build(), TIER).unwrap();
    let good = site.create_token(TIER).unwrap();
    let mut guessed: EnrolmentToken = good.parse().unwrap();
    guessed.secret = guessed.secret.chars().rev().collect();

    let machine = scene.machine();
    let output = machine.enable(&guessed.to_string(), &site.guest_url()).unwrap();
    assert_ne!(output.status, 0);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("unknown-token"), "{said}");
    assert!(!said.contains(&guessed.secret), "a secret must not be repeated: {said}");
    assert_untouched(&machine);
    assert_eq!(machine.status().unwrap()["state"], "disabled");
    assert!(site.machines().unwrap().is_empty(), "the server must not know the machine");

    let output = machine.enable(&good, &site.guest_url()).unwrap();
    assert_applied(&machine, &scene.prepared.manifest().unwrap(), &output);
}
