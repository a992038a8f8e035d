"""Which version of a variable counts where several edges meet."""

from __future__ import annotations

from kale_pm.runtime.manifest import Change, Made, Manifest, Version
from kale_pm.runtime.merging import ancestors, merge_context, merge_versions


def manifest(step: str, order: int, *heard: str, **versions: Version) -> Manifest:
    return Manifest(step, order, versions=versions, ancestors=heard)


def test_the_version_of_the_latest_step_counts_whatever_the_order_of_reading() -> None:
    old = Manifest("a", 0, versions={"x": Version("a", 0, "c0"), "y": Version("a", 0, "d0")})
    new = Manifest("b", 1, versions={"x": Version("b", 1, "c1")})
    for pair in ([old, new], [new, old]):
        merged = merge_versions(pair)
        assert merged == {"x": Version("b", 1, "c1"), "y": Version("a", 0, "d0")}


def test_a_deletion_is_a_version_too() -> None:
    old = Manifest("a", 0, versions={"x": Version("a", 0, "c0")})
    gone = Manifest("b", 1, versions={"x": Version("b", 1, None)})
    assert merge_versions([gone, old])["x"].component is None


def test_changes_of_global_state_merge_likewise() -> None:
    old = Manifest("a", 0, context={"k": Change("a", 0, "old"), "only": Change("a", 0, "v")})
    new = Manifest("b", 1, context={"k": Change("b", 1, "new")})
    merged = merge_context([new, old])
    assert {name: change.value for name, change in merged.items()} == {"k": "new", "only": "v"}


def test_a_step_has_heard_of_all_that_its_inputs_have_heard_of() -> None:
    assert ancestors([manifest("b", 1, "a"), manifest("c", 2)]) == ("a", "b", "c")


def test_what_a_step_made_after_it_heard_of_another_counts_whatever_their_order() -> None:
    made = Version("a", 5, "old")
    changed = Version("b", 1, "new", Made.CHANGED)
    pair = [manifest("a", 5, x=made), manifest("b", 1, "a", x=changed)]
    assert merge_versions(pair)["x"] == merge_versions(pair[::-1])["x"] == changed


def test_steps_side_by_side_that_bind_a_name_anew_the_later_one_counts() -> None:
    pair = [manifest("a", 1, x=Version("a", 1, "p")), manifest("b", 2, x=Version("b", 2, "q"))]
    assert merge_versions(pair)["x"] == merge_versions(pair[::-1])["x"] == Version("b", 2, "q")


def test_steps_side_by_side_that_change_one_thing_are_rivals() -> None:
    pair = [
        manifest("a", 1, x=Version("a", 1, "p", Made.CHANGED)),
        manifest("b", 2, x=Version("b", 2, "q", Made.CHANGED)),
    ]
    for merged in (merge_versions(pair), merge_versions(pair[::-1])):
        assert (merged["x"].step, merged["x"].rival) == ("b", "a")


def test_equal_changes_are_no_rivals() -> None:
    pair = [
        manifest("a", 1, x=Version("a", 1, "same", Made.CHANGED)),
        manifest("b", 2, x=Version("b", 2, "same", Made.CHANGED)),
    ]
    assert merge_versions(pair)["x"].rival == ""


def test_what_only_travelled_along_gives_way_to_what_was_bound_anew() -> None:
    bound = Version("a", 1, "p", Made.BOUND)
    pair = [manifest("a", 1, x=bound), manifest("b", 2, x=Version("b", 2, "q", Made.CARRIED))]
    assert merge_versions(pair)["x"] == bound


def test_a_change_after_a_binding_beside_it_is_a_rival() -> None:
    pair = [
        manifest("a", 1, x=Version("a", 1, "p", Made.BOUND)),
        manifest("b", 2, x=Version("b", 2, "q", Made.CHANGED)),
    ]
    assert merge_versions(pair)["x"].rival == "a"


def test_rivals_stay_so_until_a_step_that_knows_both_binds_the_name_anew() -> None:
    torn = Version("b", 2, "q", Made.CHANGED, rival="a")
    above = [
        manifest("a", 1, x=Version("a", 1, "p", Made.CHANGED)),
        manifest("b", 2, x=Version("b", 2, "q", Made.CHANGED)),
        manifest("join", 3, "a", "b", x=torn),
    ]
    assert merge_versions(above)["x"] == torn
    knows_one = manifest("c", 4, "b", x=Version("c", 4, "r", Made.CHANGED))
    assert merge_versions([*above, knows_one])["x"].rival
    healed = Version("d", 5, "s", Made.BOUND)
    assert merge_versions([*above, manifest("d", 5, "a", "b", "join", x=healed)])["x"] == healed
