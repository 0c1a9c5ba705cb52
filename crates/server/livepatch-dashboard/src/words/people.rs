//! Words of signing in and of users.

words! {
    PASSWORD = "Password";
    OPENID_SIGN_IN = "Sign in with your organisation's account";
    SIGNED_IN = "You are signed in";
    GO_ON = "Go on to the page";

    USERS = "Users";
    USERS_MEANING = "People who sign in here with a name and a password. Five wrong passwords in a row lock a user out for a quarter of an hour; another password opens it at once.";
    NO_USERS = "There is no user yet: people sign in with API keys, with one-time addresses, or at the OpenID provider, if there is one.";
    NEW_USER = "A new user";
    MAKE_USER = "Make the user";
    PASSWORD_HINT = "12 characters or more; several words are easy to keep in mind.";
    LAST_SIGNED_IN = "Last signed in";
    LOCKED = "locked until";
    LOCKED_OUT = "Locked out";
    REMOVE = "Remove";
    SET_PASSWORD = "Set the password";
    SET_PASSWORD_MEANING = "The sessions that were begun with the old password are over then, and a lock-out ends.";
}

pub(crate) fn password_of(name: &str) -> String {
    format!("Another password for {name}")
}
