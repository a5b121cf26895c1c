"""What the fuzzer may find that is no finding: rules that no JSON Schema can say.

A refusal is let pass only if every violation it names is in this list, so that any other reason
for refusing data that fits the schema is still a finding. Each rule has tests of its own.
"""

import json

import schemathesis

UNSAYABLE = {
    ("/lines", "total"): "the sum of quantity times price over all lines has a bound",
    ("/customer", "unknown"): "the customer must exist",
    ("/customer", "required"): "a caller without an account must name the customer",
    ("/password", "common_password"): "the password must not be on the list of common ones",
    ("/password", "context"): "the password must not be the username or the e-mail address",
    ("/cursor", "cursor"): "a cursor is sealed: only the service can make one",
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keeps every failure but the refusal of data for reasons that stand above."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 400:
        return True
    violations = json.loads(response.content).get("errors", [])
    named = [(violation["pointer"], violation["code"]) for violation in violations]
    return not named or any(rule not in UNSAYABLE for rule in named)
