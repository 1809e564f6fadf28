//! `agent add|list|rotate|remove`.

use clap::Subcommand;
use portal_core::{Action, Agent, AgentId, Token, TokenKind};

use crate::answer::{Answer, plain, time};
use crate::desk::Desk;
use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Register an agent; its token is shown now and never again
    Add {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
    },
    /// All agents
    List,
    /// Give an agent another token, shown now and never again; the one before is void at once
    Rotate {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
    },
    /// Remove an agent with its friendships, sessions and jobs
    Remove {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
    },
}

pub(crate) async fn run(verb: Verb, desk: &Desk) -> Result<Answer, Failure> {
    match verb {
        Verb::Add { agent } => add(agent, desk).await,
        Verb::List => list(desk).await,
        Verb::Rotate { agent } => rotate(&agent, desk).await,
        Verb::Remove { agent } => remove(&agent, desk).await,
    }
}

async fn add(id: AgentId, desk: &Desk) -> Result<Answer, Failure> {
    let token = Token::generate(TokenKind::Agent, &*desk.ids);
    let audit = desk.audit(Action::AgentCreate, None, id.as_str());
    let agent = Agent { id: id.clone(), created_at: desk.clock.now() };
    if !desk.agents.create(agent, token.hash(), audit).await? {
        return Err(Failure::refused("AGENT", format!("there is an agent {id} already; see agent rotate")));
    }
    Ok(with_token(&id, &token))
}

async fn list(desk: &Desk) -> Result<Answer, Failure> {
    let agents = desk.agents.list().await?;
    let rows = agents.iter().map(|agent| vec![plain(agent.id.as_str()), time(agent.created_at)]);
    Ok(Answer::list("agents", &["id", "created_at"], rows.collect()))
}

async fn rotate(id: &AgentId, desk: &Desk) -> Result<Answer, Failure> {
    let token = Token::generate(TokenKind::Agent, &*desk.ids);
    if !desk.agents.rotate(id, token.hash(), desk.audit(Action::AgentRotate, None, id.as_str())).await? {
        return Err(Failure::unknown_agent(id));
    }
    Ok(with_token(id, &token))
}

async fn remove(id: &AgentId, desk: &Desk) -> Result<Answer, Failure> {
    if !desk.agents.remove(id, desk.audit(Action::AgentRemove, None, id.as_str())).await? {
        return Err(Failure::unknown_agent(id));
    }
    Ok(Answer::Record(vec![("removed", plain(id.as_str()))]))
}

fn with_token(id: &AgentId, token: &Token) -> Answer {
    Answer::Record(vec![("id", plain(id.as_str())), ("token", plain(token.reveal()))])
}
