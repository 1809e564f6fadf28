//! Fair use of the runner's slots.

use std::collections::HashMap;

use portal_core::FriendId;

/// Slots that each friend may fill, and how many they fill now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FriendShares {
    /// Most deliveries of one friend in flight.
    pub max: u32,
    /// Deliveries of each friend in flight; absent means none.
    pub in_flight: HashMap<FriendId, u32>,
}

impl FriendShares {
    /// Creates shares for a queue without deliveries in flight.
    #[must_use]
    pub fn of(max: u32) -> Self {
        Self { max, in_flight: HashMap::new() }
    }

    /// Returns the friends who may fill no further slot, sorted.
    #[must_use]
    pub fn exhausted(&self) -> Vec<&str> {
        let full = self.in_flight.iter().filter(|(_, count)| **count >= self.max);
        let mut names: Vec<&str> = full.map(|(friend, _)| friend.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Chooses up to `limit` candidates, friends in turn: the first of each friend, then the second of each, in the
    /// order in which they come, and of no friend more than their share leaves.
    #[must_use]
    pub fn choose<T>(&self, candidates: impl IntoIterator<Item = (String, T)>, limit: u32) -> Vec<T> {
        let mut turns: HashMap<String, u32> = HashMap::new();
        let mut ranked: Vec<(u32, T)> = Vec::new();
        let taken: HashMap<&str, u32> =
            self.in_flight.iter().map(|(friend, count)| (friend.as_str(), *count)).collect();
        for (friend, candidate) in candidates {
            let before = taken.get(&*friend).copied().unwrap_or_default();
            let turn = turns.entry(friend).or_default();
            if before + *turn < self.max {
                ranked.push((*turn, candidate));
                *turn += 1;
            }
        }
        // The sort is stable: within a turn the order of the candidates stays.
        ranked.sort_by_key(|(turn, _)| *turn);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        ranked.into_iter().take(limit).map(|(_, candidate)| candidate).collect()
    }
}

#[cfg(test)]
mod tests {
    use portal_core::FriendId;

    use super::FriendShares;

    fn names(friends: &[&str]) -> Vec<(String, String)> {
        let numbered = friends.iter().enumerate();
        numbered.map(|(number, friend)| ((*friend).to_owned(), format!("{friend}{number}"))).collect()
    }

    #[test]
    fn friends_take_turns_in_the_order_in_which_they_come() {
        let shares = FriendShares::of(9);
        let chosen = shares.choose(names(&["a", "a", "a", "b", "b", "c"]), 5);
        assert_eq!(chosen, ["a0", "b3", "c5", "a1", "b4"]);
    }

    #[test]
    fn nobody_gets_more_than_their_share_and_what_is_in_flight_counts() {
        let alice = FriendId::parse("a").unwrap();
        let shares = FriendShares { max: 2, in_flight: [(alice, 1)].into() };
        assert_eq!(shares.choose(names(&["a", "a", "a", "b", "b", "b"]), 9), ["a0", "b3", "b4"]);
        assert_eq!(shares.exhausted(), [""; 0]);
    }

    #[test]
    fn a_friend_with_a_full_share_is_exhausted() {
        let alice = FriendId::parse("a").unwrap();
        let shares = FriendShares { max: 2, in_flight: [(alice, 2)].into() };
        assert_eq!(shares.exhausted(), ["a"]);
        assert_eq!(shares.choose(names(&["a", "b"]), 9), ["b1"]);
    }
}
