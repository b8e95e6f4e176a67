"""What netlink's messages look like, as classes of pyroute2: its own ones, and those that it lacks or decodes
otherwise.

A module a protocol. REQUESTS tells the class of a request by the message's type, ANSWERS that of an answer.
An attribute that is not named here is passed over. `netprobe.linux.netlink` imports these modules when it
needs them: they take their time.
"""
