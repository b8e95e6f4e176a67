import pytest
import sample_reports as sample
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netprobe.model import Agreement, Cause, Leg, Paths, Place, Stage, Verdict
from netprobe.render.headline import ending
from netprobe.render.marks import Fate, hops, lost_at, marks, mirrors, pointed, surprises
from netprobe.render.text import text

SIGNS = {Fate.PASSED: "✓", Fate.TRANSLATED: "⇄", Fate.LOST: "✗", Fate.NOT_REACHED: "·", Fate.UNKNOWN: "?", Fate.EXPECTED: "→"}


def signs(report, leg=Leg.REQUEST):
    return "".join(SIGNS[mark] for mark in marks(report, leg))


@pytest.mark.parametrize(
    ("name", "request_", "reply"),
    [
        ("healthy", "✓✓✓✓⇄✓", "✓⇄✓✓✓✓✓"),
        ("forward-drop", "✓✓✓✗··", ""),
        ("reply-lost", "✓✓✓✓⇄✓", "✓⇄✓✓✗··"),
        ("no-route", "✗", ""),
        ("undetermined", "✓✓✓???", ""),
        ("intermittent", "✓✓✓✗⇄✓", "✓⇄✓✓✓✓✓"),
        ("arping", "✓✓✓✓", "✓✓✓✓"),
        ("ipv6-rejected", "✓✓✓✗·", ""),
        ("tcp-closed", "✓✓✓✓✗", "✓✓✓✓"),
        ("why", "→→→✗", ""),
        ("why-ok", "→→→→⇄→", "→⇄→→→→→"),
        ("disagree", "✓✓✓✓⇄?✓", "✓⇄✓✓✓✓✓"),
        ("nat-missing", "✓✓✓✓✓✓", ""),
    ],
)
def test_signs(name, request_, reply):
    report = sample.ALL[name]
    assert (signs(report), signs(report, Leg.REPLY)) == (request_, reply)


def test_without_a_cause_the_loss_lies_between_two_places():
    """Seen at hop 3, not seen at hop 6: nobody watched 4 and 5."""
    report = replace(sample.FORWARD_DROP, causes=(), blockers=())
    assert signs(report) == "✓✓✓???"
    assert ending(report) == "LOST after hop 3 of 6"


def test_without_a_cause_but_with_a_sensor_next_door_the_hop_is_known():
    path = sample.cut(sample.REQUEST, 1)
    report = replace(sample.FORWARD_DROP, causes=(), blockers=(), path=Paths(path))
    assert signs(report) == "✓✗····"
    assert ending(report) == "LOST at hop 2 of 6"


def test_a_cause_beyond_the_first_empty_sensor_does_not_move_the_loss():
    """The root may stand elsewhere (a request that leaves untranslated kills the reply); the packet still died here."""
    report = replace(sample.REPLY_LOST, path=Paths(sample.REQUEST, sample.cut(sample.REPLY, 1)))
    assert signs(report, Leg.REPLY) == "✓???···"
    assert ending(report) == "REPLY LOST after hop 1 of 7"


def test_a_cause_at_the_last_place_seen_is_the_place_of_the_loss():
    """A tap sees a frame before XDP's generic hook, rp_filter or ARP eat it."""
    cause = Cause("rp-filter", Place("host", "br0", Stage.ROUTE), "source check")
    report = replace(sample.FORWARD_DROP, causes=(cause,))
    assert signs(report) == "✓✓✗···"


def test_a_cause_in_the_same_namespace_is_nearer_than_none():
    cause = Cause("no-route", Place("host", None, Stage.ROUTE), "no route")
    assert signs(replace(sample.FORWARD_DROP, causes=(cause,))) == "✓✓✓✗··"


def test_a_cause_elsewhere_names_no_hop():
    cause = Cause("nat-missing", Place("moon", None, Stage.POSTROUTING), "no NAT")
    assert lost_at(replace(sample.FORWARD_DROP, causes=(cause,)), Leg.REQUEST) is None


def test_a_path_that_ends_before_its_cause_gets_the_hop_where_it_died():
    """The walk stops where nothing can be asked any more: there is no hop for a route that is not there."""
    cause = Cause("no-route", Place("host", None, Stage.ROUTE), "host has no route to 8.8.8.8")
    report = replace(sample.FORWARD_DROP, causes=(cause,), path=Paths(sample.REQUEST[:3]))
    last = hops(report, Leg.REQUEST)[-1]
    assert (signs(report), last.n, last.place) == ("✓✓✓✗", 4, cause.place)
    assert ending(report) == "LOST at hop 4"


def test_an_empty_path_has_its_loss_at_the_first_hop():
    report = replace(sample.NO_ROUTE, path=Paths())
    assert (signs(report), ending(report)) == ("✗", "NEVER LEFT red")


def test_no_hop_is_made_up_where_the_cause_stands_elsewhere():
    assert hops(sample.NAT_MISSING, Leg.REPLY) == ()
    assert ending(sample.NAT_MISSING) == "REPLY LOST"


def test_a_cause_away_from_the_loss_is_pointed_at():
    assert pointed(sample.NAT_MISSING) == (Leg.REQUEST, 4)
    assert pointed(sample.FORWARD_DROP) is None
    assert pointed(sample.HEALTHY) is None
    assert "[nat-missing] to 172.16.0.1" in text(sample.NAT_MISSING)


def test_nobody_says_which_direction_then_the_cause_does():
    report = replace(sample.REPLY_LOST, verdict=Verdict.INTERMITTENT, direction=None, path=Paths(sample.REQUEST[2:], sample.REPLY))
    assert signs(report, Leg.REPLY) == "✓⇄✓✓✗✓✓"


def test_a_way_that_ends_at_a_silent_neighbour_is_lost_there():
    silent = sample.hop(6, "host", "eth0", Stage.NEIGHBOUR, sample.OUTSIDE, None, "to 8.8.8.8: nobody answers", observed=None)
    cause = Cause("arp-suppressed", Place("internet", "eth0", Stage.ARP), "internet does not answer")
    report = replace(sample.FORWARD_DROP, causes=(cause,), path=Paths((*sample.cut(sample.REQUEST[:5], 3), silent)))
    assert (signs(report), ending(report)) == ("✓✓✓✓⇄✗", "LOST at hop 6")
    assert "internet does not answer" in text(report).split("error[")[0]


def test_a_frame_led_astray_came_as_far_as_it_was_seen_and_the_cause_is_pointed_at():
    """A cross never stands at a place to which the packet came, unless the cause stands there."""
    astray = sample.hop(7, "old", "eth0", Stage.RECEIVE, sample.OUTSIDE, 40, bound="in")
    cause = Cause("fdb-wrong-entry", Place("host", "eth0", Stage.BRIDGE_FORWARD), "the FDB has it behind eth0")
    report = replace(sample.FORWARD_DROP, causes=(cause,), path=Paths((*sample.REQUEST, astray)))
    assert (signs(report), pointed(report), ending(report)) == ("✓✓✓✓⇄✓✓", (Leg.REQUEST, 5), "LOST after hop 7")


def test_what_ended_the_packet_where_it_came_to_has_a_hop_of_its_own():
    """The cause stands elsewhere; the cross and the text are those of the decision."""
    astray = sample.hop(7, "old", "eth0", Stage.RECEIVE, sample.OUTSIDE, 40, bound="in")
    end = replace(sample.hop(8, "old", None, Stage.ROUTE, sample.OUTSIDE, None, "old has no route", observed=None), ends=True)
    cause = Cause("fdb-wrong-entry", Place("host", "eth0", Stage.BRIDGE_FORWARD), "the FDB has it behind eth0")
    report = replace(sample.FORWARD_DROP, causes=(cause,), path=Paths((*sample.REQUEST, astray, end)))
    assert (signs(report), ending(report)) == ("✓✓✓✓⇄✓✓✗", "LOST at hop 8")
    assert "old has no route" in text(report).split("error[")[0]


def test_an_unknown_cause_names_no_hop_beyond_what_was_seen():
    cause = Cause("unknown", sample.REQUEST[2].place, "last seen at host/br0")
    report = replace(sample.FORWARD_DROP, causes=(cause,))
    assert (signs(report), ending(report), pointed(report)) == ("✓✓✓???", "LOST after hop 3 of 6", None)


def test_a_way_out_of_sight_ends_with_leaving():
    """A route into a dead tunnel: nothing comes behind the exit, the interface is where it died."""
    out = sample.hop(7, "host", "eth0", Stage.EXIT, sample.OUTSIDE, None, observed=None)
    cause = Cause("route-via-dead-device", Place("host", "eth0", Stage.ROUTE), "nobody serves eth0")
    report = replace(sample.FORWARD_DROP, causes=(cause,), path=Paths((*sample.REQUEST, out)))
    assert (signs(report), ending(report)) == ("✓✓✓✓⇄✗·", "LOST at hop 6 of 7")


def test_mirrored_ways():
    assert mirrors(sample.HEALTHY)
    assert not mirrors(sample.DISAGREE)
    assert not mirrors(replace(sample.HEALTHY, path=Paths(sample.REQUEST, sample.REPLY[1:])))
    assert not mirrors(replace(sample.HEALTHY, path=Paths()))


def test_surprises_are_told_only_when_they_are_some():
    assert [(leg, hop.n) for leg, hop in surprises(sample.DISAGREE)] == [(Leg.REQUEST, 6), (Leg.REQUEST, 7)]
    assert surprises(replace(sample.DISAGREE, agreement=Agreement.CONFIRMED)) == ()


def test_of_the_hops_not_seen_the_first_is_told_and_the_others_follow_from_it():
    path = sample.cut(sample.REQUEST, 1)
    report = replace(sample.HEALTHY, agreement=Agreement.DISAGREE, path=Paths(path))
    assert [hop.n for _, hop in surprises(report)] == [2]


def test_a_refuted_prediction_is_said_first():
    assert text(sample.REFUTED).splitlines()[:2] == [
        "DISAGREE  the packet did not do what the configuration says",
        "          predicted: no answer; seen: one",
    ]


def test_the_reply_is_not_shown_when_nothing_of_it_was_seen():
    report = replace(sample.FORWARD_DROP, path=Paths(sample.FORWARD_DROP.path.request, sample.cut(sample.REPLY, 0)))
    assert "the reply" not in text(report)


SEEN = st.sampled_from([True, False, None])


@st.composite
def reports(draw):
    """Any verdict over any pattern of sightings, with any cause or none: no reading may fail or contradict itself."""
    request = tuple(replace(hop, observed=draw(SEEN), predicted=draw(st.booleans())) for hop in draw(st.sampled_from([sample.REQUEST, ()])))
    reply = tuple(replace(hop, observed=draw(SEEN)) for hop in draw(st.sampled_from([sample.REPLY, ()])))
    place = Place(
        draw(st.sampled_from(["red", "host", "moon", None])), draw(st.sampled_from(["eth0", "br0", None])), draw(st.sampled_from(Stage))
    )
    return replace(
        sample.HEALTHY, verdict=draw(st.sampled_from(Verdict)), direction=draw(st.sampled_from([*Leg, None])), path=Paths(request, reply),
        agreement=draw(st.sampled_from(Agreement)), causes=draw(st.sampled_from([(), (Cause("unknown", place, "lost"),)])),
        sent=draw(st.integers(0, 3)), received=0, rtt_ns=(),
    )  # fmt: skip


@given(reports(), st.sampled_from(Leg))
def test_any_pattern_can_be_read(report, leg):
    fates = marks(report, leg)
    assert len(fates) == len(hops(report, leg))
    assert fates.count(Fate.LOST) <= 1
    if report.verdict is Verdict.REACHABLE:
        assert Fate.LOST not in fates
    if Fate.NOT_REACHED in fates:
        assert set(fates[fates.index(Fate.NOT_REACHED) :]) == {Fate.NOT_REACHED}


@given(reports(), st.sampled_from([None, 48, 80, 100]))
def test_any_pattern_can_be_shown(report, width):
    assert ending(report).split("\n") == [ending(report)]
    assert text(report, width)
