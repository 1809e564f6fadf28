//! `agent add|list|rotate|remove`.

use clap::Subcommand;
use portal_core::{Action, Agent, AgentId, Token, TokenKind};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain, time};

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

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    match verb {
        Verb::Add { agent } => add(agent, context).await,
        Verb::List => list(context).await,
        Verb::Rotate { agent } => rotate(&agent, context).await,
        Verb::Remove { agent } => remove(&agent, context).await,
    }
}

async fn add(id: AgentId, context: &AdminContext) -> Result<Output, Failure> {
    let token = Token::generate(TokenKind::Agent, &*context.ids);
    let audit = context.audit(Action::AgentCreate, None, id.as_str());
    let agent = Agent { id: id.clone(), created_at: context.clock.now() };
    if !context.agents.create(agent, token.hash(), audit).await? {
        return Err(Failure::refused("AGENT", format!("there is an agent {id} already; see agent rotate")));
    }
    Ok(with_token(&id, &token))
}

async fn list(context: &AdminContext) -> Result<Output, Failure> {
    let agents = context.agents.list().await?;
    let rows = agents.iter().map(|agent| vec![plain(agent.id.as_str()), time(agent.created_at)]);
    Ok(Output::list("agents", &["id", "created_at"], rows.collect()))
}

async fn rotate(id: &AgentId, context: &AdminContext) -> Result<Output, Failure> {
    let token = Token::generate(TokenKind::Agent, &*context.ids);
    if !context.agents.rotate(id, token.hash(), context.audit(Action::AgentRotate, None, id.as_str())).await? {
        return Err(Failure::unknown_agent(id));
    }
    Ok(with_token(id, &token))
}

async fn remove(id: &AgentId, context: &AdminContext) -> Result<Output, Failure> {
    if !context.agents.remove(id, context.audit(Action::AgentRemove, None, id.as_str())).await? {
        return Err(Failure::unknown_agent(id));
    }
    Ok(Output::Record(vec![("removed", plain(id.as_str()))]))
}

fn with_token(id: &AgentId, token: &Token) -> Output {
    Output::Record(vec![("id", plain(id.as_str())), ("token", plain(token.reveal()))])
}
