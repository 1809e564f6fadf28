//! `contact add|list|remove`.

use clap::{Args, Subcommand};
use portal_core::{Action, Contact, ContactAdded, FriendId};

use crate::answer::{Answer, plain};
use crate::desk::Desk;
use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Add an address; no two friends share one
    Add(Given),
    /// A friend's addresses
    List {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
    },
    /// Remove an address
    Remove(Given),
}

#[derive(Args)]
pub(crate) struct Given {
    #[arg(value_parser = FriendId::parse)]
    friend: FriendId,
    /// Such as signal or discord
    channel: String,
    /// The friend's id, number or name there
    address: String,
}

impl Given {
    fn parse(self) -> Result<Contact, Failure> {
        Contact::parse(self.friend, &self.channel, &self.address).map_err(|invalid| {
            Failure::invalid(if invalid.field == "channel" { "CHANNEL" } else { "ADDRESS" }, invalid)
        })
    }
}

pub(crate) async fn run(verb: Verb, desk: &Desk) -> Result<Answer, Failure> {
    match verb {
        Verb::Add(given) => add(given.parse()?, desk).await,
        Verb::List { friend } => list(&friend, desk).await,
        Verb::Remove(given) => remove(&given.parse()?, desk).await,
    }
}

async fn add(contact: Contact, desk: &Desk) -> Result<Answer, Failure> {
    let subject = format!("{}:{}", contact.channel, contact.address);
    let audit = desk.audit(Action::ContactAdd, Some(&contact.friend), &subject);
    match desk.contacts.add(contact.clone(), audit).await? {
        ContactAdded::New | ContactAdded::Same => Ok(one(&contact)),
        ContactAdded::Taken => {
            Err(Failure::refused("ADDRESS", format!("{subject} is a contact of another friend already")))
        }
        ContactAdded::IsFriendId => Err(Failure::refused(
            "ADDRESS",
            format!("{} is the id of a friend, and a session key could mean either", contact.address),
        )),
        ContactAdded::NoFriend => Err(Failure::unknown_friend(&contact.friend)),
    }
}

async fn list(friend: &FriendId, desk: &Desk) -> Result<Answer, Failure> {
    desk.known(friend).await?;
    let contacts = desk.contacts.list(friend).await?;
    let row = |contact: &Contact| vec![plain(contact.channel.as_str()), plain(&contact.address)];
    Ok(Answer::list("contacts", &["channel", "address"], contacts.iter().map(row).collect()))
}

async fn remove(contact: &Contact, desk: &Desk) -> Result<Answer, Failure> {
    let subject = format!("{}:{}", contact.channel, contact.address);
    let audit = desk.audit(Action::ContactRemove, Some(&contact.friend), &subject);
    if !desk.contacts.remove(contact, audit).await? {
        return Err(Failure::refused("ADDRESS", format!("{} has no contact {subject}", contact.friend)));
    }
    Ok(Answer::Record(vec![("removed", plain(subject))]))
}

fn one(contact: &Contact) -> Answer {
    Answer::Record(vec![
        ("friend", plain(contact.friend.as_str())),
        ("channel", plain(contact.channel.as_str())),
        ("address", plain(&contact.address)),
    ])
}
