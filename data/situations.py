"""What lies behind a generated e-mail: one situation, from which all four labels follow.

A *matter* is what the e-mail is about (a server that is down, a quote that is wanted). A *situation* adds whom it
hits, when it has to be done, what has changed, and in what tone it is told. Nobody labels the text: `urgency`,
`sentiment`, `category` and `intent` are functions of the situation, and the text has to express the situation.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Literal, TypeVar

T = TypeVar("T")

MatterKind = Literal["problem", "request", "question", "news"]
Time = Literal["none", "far", "week", "soon", "now"]
Scope = Literal["unsaid", "wide", "narrow"]
Tone = Literal["plain", "polite", "angry", "disappointed", "worried", "grateful", "pleased"]
Writer = Literal["customer", "partner", "colleague"]

URGENCY_LEVELS = ("low", "medium", "high", "critical")
NEGATIVE: tuple[Tone, ...] = ("angry", "disappointed", "worried")
POSITIVE: tuple[Tone, ...] = ("grateful", "pleased")
NEUTRAL: tuple[Tone, ...] = ("plain", "polite")


class Draw:
    """Choices from a seed. Only `Random.random` is used: the one method whose stream Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed).random

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def pick(self, values: "tuple[T, ...]") -> T:
        return values[int(self.random() * len(values))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        left = self.random() * sum(weights.values())
        for value, weight in weights.items():
            left -= weight
            if left < 0:
                return value
        return value  # rounding left a crumb: the last one

    def integer(self, low: int, high: int) -> int:
        """`low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))


@dataclass(frozen=True)
class Matter:
    """What an e-mail is about."""

    key: str
    category: str
    kind: MatterKind
    gravity: int = 0  # of a problem: 1 a nuisance, 2 somebody is blocked, 3 an outage, danger or great loss
    intent: str = "report_problem"
    scalable: bool = False  # "everybody is affected" and "only me" make sense
    workable: bool = False  # a workaround makes sense
    refundable: bool = False
    tones: tuple[Tone, ...] = ()  # empty: any


@dataclass(frozen=True)
class Situation:
    language: str
    matter: Matter
    intent: str
    writer: Writer
    tone: Tone
    time: Time = "none"
    scope: Scope = "unsaid"
    workaround: bool = False
    resolved: bool = False  # the problem is over and only told
    denied: bool = False  # "this is not urgent"

    @property
    def level(self) -> int:
        """Urgency, 0 (low) to 3 (critical)."""
        pressure = {"none": 0, "far": 0, "week": 1, "soon": 2, "now": 3}[self.time]
        if self.matter.kind == "news" or self.resolved or self.denied:
            return 0
        if self.matter.kind == "question":
            return pressure
        if self.matter.kind == "request":
            return 1 if self.time == "none" else pressure
        if self.matter.gravity == 3 and self.time in ("soon", "now"):
            return 3
        if self.time != "none":  # a deadline that the writer names says more than how bad it sounds
            return pressure
        shift = {"unsaid": 0, "wide": 1, "narrow": -1}[self.scope] - int(self.workaround)
        return min(max(self.matter.gravity + shift, 0), 3)

    @property
    def urgency(self) -> str:
        return URGENCY_LEVELS[self.level]

    @property
    def sentiment(self) -> str:
        if self.tone in NEGATIVE:
            return "negative"
        return "positive" if self.tone in POSITIVE else "neutral"

    @property
    def category(self) -> str:
        return self.matter.category

    @property
    def bucket(self) -> int:
        """0..99, the same for equal situations and whatever the seed: what decides their split."""
        parts = (self.language, self.matter.key, self.intent, self.writer, self.tone, self.time, self.scope)
        flags = (self.workaround, self.resolved, self.denied)
        return zlib.crc32(f"{parts} {flags}".encode()) % 100


def sample(draw: Draw, language: str, level: int) -> Situation:
    """A situation of the wanted urgency; drawn until one fits, so that the rule above is the only one."""
    while True:
        matter = draw.pick(_BY_KIND[draw.weighted(_KIND_WEIGHTS)])
        situation = _situation(draw, language, matter)
        if situation.level == level:
            return situation


_KIND_WEIGHTS: Mapping[MatterKind, float] = MappingProxyType(
    {"problem": 0.5, "request": 0.26, "question": 0.09, "news": 0.15}
)
_WRITER_WEIGHTS: Mapping[Writer, float] = MappingProxyType({"customer": 0.45, "partner": 0.2, "colleague": 0.35})
_TONES: tuple[Tone, ...] = ("plain", "polite", "angry", "disappointed", "worried", "grateful", "pleased")


def _tone_weights(*weights: float) -> Mapping[Tone, float]:
    return MappingProxyType(dict(zip(_TONES, weights, strict=True)))


_TONE_WEIGHTS: Mapping[MatterKind, Mapping[Tone, float]] = MappingProxyType(
    {
        "problem": _tone_weights(32, 14, 16, 12, 12, 7, 7),
        "request": _tone_weights(30, 22, 7, 8, 8, 13, 12),
        "question": _tone_weights(30, 26, 6, 8, 7, 11, 12),
        "news": _tone_weights(34, 16, 8, 10, 4, 14, 14),
    }
)


def _situation(draw: Draw, language: str, matter: Matter) -> Situation:
    tones = _TONE_WEIGHTS[matter.kind]
    tone = draw.weighted({tone: weight for tone, weight in tones.items() if tone in (matter.tones or tones)})
    writer = draw.weighted(_WRITER_WEIGHTS)
    intent = matter.intent
    time: Time = "none"
    scope: Scope = "unsaid"
    workaround = resolved = denied = False
    if matter.kind == "problem":
        if draw.chance(0.15):
            resolved = True
            intent = "inform"
        else:
            times: dict[Time, float] = {"none": 0.55, "far": 0.06, "week": 0.13, "soon": 0.16, "now": 0.1}
            if matter.gravity == 3:
                times = {"none": 0.7, "soon": 0.12, "now": 0.18}
            elif matter.gravity == 1:
                times = {"none": 0.58, "far": 0.08, "week": 0.14, "soon": 0.2}
            time = draw.weighted(times)
            if time in ("none", "far") and matter.gravity < 3:
                denied = draw.chance(0.14)
            if time == "none" and not denied:
                if matter.scalable and draw.chance(0.4):
                    scope = draw.pick(("wide", "narrow"))
                if matter.workable and scope != "wide" and draw.chance(0.3):
                    workaround = True
            if matter.refundable and draw.chance(0.45):
                intent = "request_refund"
            elif draw.chance(0.16):
                intent = "follow_up"
    elif matter.kind == "request":
        time = draw.weighted({"none": 0.2, "far": 0.15, "week": 0.23, "soon": 0.27, "now": 0.15})
        denied = time in ("none", "far") and draw.chance(0.2)
        if draw.chance(0.14) and intent in ("request_action", "schedule"):
            intent = "follow_up"
    elif matter.kind == "question":
        time = draw.weighted({"none": 0.45, "far": 0.12, "week": 0.18, "soon": 0.25})
        denied = time == "none" and draw.chance(0.25)
    return Situation(language, matter, intent, writer, tone, time, scope, workaround, resolved, denied)


def _problems() -> list[Matter]:
    table = """
        server_down             technical 3 scalable workable
        website_down            technical 3 workable
        database_loss           technical 3
        checkout_broken         technical 3 workable
        phones_down             technical 3 workable
        ransomware              technical 3
        data_leak               technical 3
        vpn_fails               technical 2 scalable workable
        laptop_dead             technical 2 workable
        app_crashes             technical 2 scalable workable
        mail_stuck              technical 2 scalable workable
        sync_fails              technical 2 scalable workable
        update_broke            technical 2 scalable workable
        printer_jams            technical 1 workable
        slow_pages              technical 1 scalable
        display_bug             technical 1
        export_wrong            technical 1 workable
        payroll_missing         billing   3
        fraud_withdrawals       billing   3
        charged_twice           billing   2 refundable
        service_suspended       billing   2 scalable
        payment_refused         billing   2
        wrong_amount            billing   1 refundable
        invoice_missing         billing   1
        invoice_details_wrong   billing   1
        account_hacked          account   3
        admins_locked_out       account   3
        cannot_login            account   2 scalable
        account_blocked         account   2
        code_not_received       account   2 scalable
        rights_missing          account   2 scalable workable
        wrong_name              account   1
        too_many_mails          account   1
        line_stopped            delivery  3
        cold_chain              delivery  3
        parcel_lost             delivery  2 refundable
        truck_late              delivery  2
        dangerous_product       delivery  3
        wrong_item              delivery  1 refundable
        damaged_item            delivery  1 refundable
        tracking_frozen         delivery  1
        packaging_dented        delivery  1
        client_leaving          sales     3
        tender_blocked          sales     3
        offer_price_error       sales     2
        contract_clause_wrong   sales     2
        brochure_outdated       sales     1
        catalogue_error         sales     1
        speaker_missing         meeting   3
        room_double_booked      meeting   2 workable
        video_link_broken       meeting   2 scalable workable
        calendar_wrong          meeting   1
        water_leak              other     3
        gas_smell               other     3
        person_injured          other     3
        lift_stuck              other     3
        heating_off             other     2 scalable workable
        stranded_traveller      other     2
        nobody_to_open          other     2
        power_cut_room          other     2 scalable workable
        badge_refused           other     2 scalable workable
        coffee_machine          other     1
        light_flickers          other     1
        parking_taken           other     1
    """
    matters = []
    for line in table.strip().splitlines():
        key, category, gravity, *flags = line.split()
        matters.append(
            Matter(
                key,
                category,
                "problem",
                int(gravity),
                scalable="scalable" in flags,
                workable="workable" in flags,
                refundable="refundable" in flags,
            )
        )
    return matters


def _others() -> list[Matter]:
    table = """
        request  invoice_copy         billing   request_action
        request  payment_delay        billing   request_action
        request  bank_details         billing   request_action
        request  approve_purchase     billing   request_action
        request  refund_subscription  billing   request_refund
        request  goodwill_refund      billing   request_refund
        request  install_software     technical request_action
        request  folder_access        technical request_action
        request  new_laptop           technical request_action
        request  restore_file         technical request_action
        request  configure_system     technical request_action
        request  quote                sales     request_action
        request  demo                 sales     schedule
        request  discount             sales     request_action
        request  sign_contract        sales     request_action
        request  samples              sales     request_action
        request  change_email         account   request_action
        request  add_user             account   request_action
        request  change_plan          account   request_action
        request  close_account        account   cancel
        request  cancel_subscription  account   cancel
        request  change_address       delivery  request_action
        request  delivery_slot        delivery  schedule
        request  return_item          delivery  request_refund
        request  cancel_order         delivery  cancel
        request  schedule_call        meeting   schedule
        request  move_meeting         meeting   schedule
        request  confirm_attendance   meeting   schedule
        request  book_room            meeting   schedule
        request  cancel_booking       meeting   cancel
        request  sign_form            other     request_action
        request  approve_leave        other     request_action
        request  proofread            other     request_action
        request  order_supplies       other     request_action
        request  send_slides          other     request_action
        question how_to               technical ask_information
        question compatibility        technical ask_information
        question price_info           sales     ask_information
        question volume_terms         sales     ask_information
        question warranty             delivery  ask_information
        question shipping_areas       delivery  ask_information
        question invoice_explained    billing   ask_information
        question payment_methods      billing   ask_information
        question data_storage         account   ask_information
        question user_limit           account   ask_information
        question opening_hours        other     ask_information
        question training_dates       meeting   ask_information
        news     thanks_support       technical give_feedback grateful pleased
        news     praise_delivery      delivery  give_feedback grateful pleased
        news     praise_sales         sales     give_feedback grateful pleased
        news     feature_idea         technical give_feedback
        news     form_idea            account   give_feedback
        news     packaging_idea       delivery  give_feedback
        news     newsletter           sales     inform plain polite
        news     promotion            sales     inform plain polite
        news     maintenance_planned  technical inform plain polite
        news     new_colleague        other     inform plain polite pleased
        news     report_shared        other     inform plain polite pleased
        news     absence              other     inform plain polite
        news     congratulations      other     give_feedback pleased
        news     price_change         billing   inform plain polite disappointed
        news     payment_confirmed    billing   inform plain polite grateful
        news     parcel_arrived       delivery  inform plain polite grateful pleased
        news     minutes_shared       meeting   inform plain polite grateful
        news     event_invitation     meeting   inform plain polite pleased
        news     survey               account   inform plain polite
    """
    kinds: Mapping[str, MatterKind] = {"request": "request", "question": "question", "news": "news"}
    tones: dict[str, Tone] = {tone: tone for tone in (*NEUTRAL, *NEGATIVE, *POSITIVE)}
    matters = []
    for line in table.strip().splitlines():
        kind, key, category, intent, *allowed = line.split()
        matters.append(Matter(key, category, kinds[kind], intent=intent, tones=tuple(tones[a] for a in allowed)))
    return matters


MATTERS: tuple[Matter, ...] = (*_problems(), *_others())

_BY_KIND: Mapping[MatterKind, tuple[Matter, ...]] = MappingProxyType(
    {kind: tuple(matter for matter in MATTERS if matter.kind == kind) for kind in _KIND_WEIGHTS}
)
