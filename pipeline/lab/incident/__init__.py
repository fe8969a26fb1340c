"""An incident on a real broker, played by real clients, and what was recorded of it.

`python -m pipeline.lab.incident OUTDIR` starts a broker with the logging that most people
have (the shipped layout, allowed operations and requests switched on), plays the incident in
about a minute and leaves `kafka-authorizer.log`, `kafka-request.log`, `controller.log` and
`server.log` in OUTDIR: the broker's own lines, of which some are left out and none is changed.
`cloudtrail.json` and `support-sessions.jsonl` beside them are made up, around the time of the
play: what the cloud account and the support desk would have recorded.

What happens: an administrator sets up topics and grants, one of them too wide. An application
goes about its business, a colleague mistypes a name. The vendor's support, let in to look at
payments, reads salaries. Somebody outside guesses the application's password. Somebody inside
looks around, tries to help herself to rights and then forges a line of the log, and in the end
somebody with the administrator's password has the audit topic forget. The outsider has a key to
the cloud account too: opens a bucket and a role to an account of his own, schedules a key for
deletion and stops the trail. `DEEDS` tells every act upon the broker with what a reader of its
logs should find of it, `trail` and `desk` all the others.
"""

from pipeline.lab.incident.cast import (
    DEEDS,
    FAILED_LOGINS,
    HOSTS,
    OUTSIDER_HOST,
    USERS,
    VENDOR_HOST,
    Deed,
)
from pipeline.lab.incident.play import play, spy

__all__ = (
    "DEEDS", "FAILED_LOGINS", "HOSTS", "OUTSIDER_HOST", "USERS", "VENDOR_HOST", "Deed", "play",
    "spy",
)  # fmt: skip
