//! What tokens grant where there is a policy.

use std::net::IpAddr;

use registry_core::Principal;
use registry_core::access::{Access, Action};

use super::controller::LivePolicy;
use crate::issuer::Grants;

/// Grants what the policy allows when the token is made. It is asked again when the token is used, by
/// [`Policy`](super::Policy) around the controller for the tokens, so that other rules hold at once and the finer
/// words of a policy count too.
impl Grants for LivePolicy {
    fn granted(&self, who: Option<&Principal>, addr: Option<IpAddr>, asked: &[Access]) -> Vec<Access> {
        let caller = self.caller(who, addr);
        let allowed = |access: &Access| caller.decide(access).allowed;
        // A scope says `pull` for lists of tags too; the policy tells them apart when the token is used.
        let lists = |access: &Access| {
            let list = || Access { action: Action::List, resource: access.resource.clone() };
            access.action == Action::Pull && allowed(&list())
        };
        asked.iter().filter(|access| allowed(access) || lists(access)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use registry_core::RepositoryName;
    use serde_json::json;

    use super::*;
    use crate::policy::PolicyRules;

    fn granted(who: Option<&str>, asked: &[(&str, Action)]) -> String {
        let rules = json!({ "rules": [
            { "allow": ["pull"], "repositories": ["public/**"], "who": ["anyone"] },
            { "allow": ["push", "delete"], "repositories": ["team/**"], "who": ["user:alice"] },
            { "deny": ["delete"], "repositories": ["team/kept"], "who": ["anyone"] },
            { "allow": ["list"], "repositories": ["seen"], "who": ["user:alice"] },
        ]});
        let live = LivePolicy::new(PolicyRules::from_value(rules).unwrap());
        let asked: Vec<Access> = asked
            .iter()
            .map(|(name, action)| Access::repository(&RepositoryName::parse(name).unwrap(), action.clone()))
            .collect();
        let who = who.map(Principal::new);
        let granted = live.granted(who.as_ref(), None, &asked);
        granted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_token_has_what_the_policy_allows() {
        use Action::{All, Delete, Pull, Push};
        for (who, asked, expected) in [
            (
                None,
                &[("public/a", Pull), ("public/a", Push), ("team/a", Pull)][..],
                "repository:public/a:pull",
            ),
            (
                Some("alice"),
                &[("team/a", Pull), ("team/a", Push)],
                "repository:team/a:pull repository:team/a:push",
            ),
            (Some("alice"), &[("team/a", All)], "repository:team/a:*"),
            (
                Some("alice"),
                &[("team/kept", All), ("team/kept", Push), ("team/kept", Delete)],
                "repository:team/kept:push",
            ),
            (Some("alice"), &[("seen", Pull), ("seen", Push)], "repository:seen:pull"),
            (Some("bob"), &[("team/a", All), ("seen", Pull)], ""),
            (Some(""), &[("public/a", Pull)], "repository:public/a:pull"),
        ] {
            assert_eq!(granted(who, asked), expected, "{who:?} {asked:?}");
        }
    }
}
