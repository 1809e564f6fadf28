//! `contact add|list|remove`.

use clap::{Args, Subcommand};
use portal_core::{Action, Contact, ContactAdded, FriendId};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain};

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

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    match verb {
        Verb::Add(given) => {
            let contact = given.parse()?;
            add(&contact, "ADDRESS", context).await?;
            Ok(one(&contact))
        }
        Verb::List { friend } => list(&friend, context).await,
        Verb::Remove(given) => remove(&given.parse()?, context).await,
    }
}

/// Adds an address, which the command calls `argument`; the same one again changes nothing.
pub(crate) async fn add(contact: &Contact, argument: &'static str, context: &AdminContext) -> Result<(), Failure> {
    let subject = format!("{}:{}", contact.channel, contact.address);
    let audit = context.audit(Action::ContactAdd, Some(&contact.friend), &subject);
    match context.contacts.add(contact.clone(), audit).await? {
        ContactAdded::New | ContactAdded::Same => Ok(()),
        ContactAdded::Taken => {
            Err(Failure::refused(argument, format!("{subject} is a contact of another friend already")))
        }
        ContactAdded::IsFriendId => Err(Failure::refused(
            argument,
            format!("{} is the id of a friend, and a session key could mean either", contact.address),
        )),
        ContactAdded::NoFriend => Err(Failure::unknown_friend(&contact.friend)),
    }
}

async fn list(friend: &FriendId, context: &AdminContext) -> Result<Output, Failure> {
    context.known(friend).await?;
    let contacts = context.contacts.list(friend).await?;
    let row = |contact: &Contact| vec![plain(contact.channel.as_str()), plain(&contact.typed)];
    Ok(Output::list("contacts", &["channel", "address"], contacts.iter().map(row).collect()))
}

async fn remove(contact: &Contact, context: &AdminContext) -> Result<Output, Failure> {
    let subject = format!("{}:{}", contact.channel, contact.address);
    let audit = context.audit(Action::ContactRemove, Some(&contact.friend), &subject);
    if !context.contacts.remove(contact, audit).await? {
        return Err(Failure::refused("ADDRESS", format!("{} has no contact {subject}", contact.friend)));
    }
    Ok(Output::Record(vec![("removed", plain(subject))]))
}

fn one(contact: &Contact) -> Output {
    Output::Record(vec![
        ("friend", plain(contact.friend.as_str())),
        ("channel", plain(contact.channel.as_str())),
        ("address", plain(&contact.typed)),
    ])
}
