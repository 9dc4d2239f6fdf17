from bft.domain.advice import again, rooted


def test_advised_commands_name_the_root_of_the_call() -> None:
    told = rooted(
        "gold 2025-01-06 is stale; run: bft pull --asof 2025-01-06, then bft gold", "mine"
    )
    assert told.endswith("run: bft pull --root mine --asof 2025-01-06, then bft gold --root mine")
    assert rooted("again: bft run nightly --asof D", "mine") == (
        "again: bft run nightly --root mine --asof D"
    )
    assert rooted("then: bft run --resume R", "mine") == "then: bft run --root mine --resume R"


def test_text_stays_without_a_root_or_with_one_in_it() -> None:
    assert rooted("see: bft close --help", "mine") == "see: bft close --help"
    assert rooted("run: bft gold", None) == "run: bft gold"
    assert rooted("run: bft gold --root a", "b") == "run: bft gold --root a"
    mixed = "run: bft gold --asof D --root a; then: bft pull"
    assert rooted(mixed, "b") == "run: bft gold --asof D --root a; then: bft pull --root b"


def test_a_root_with_a_blank_stays_one_word() -> None:
    assert rooted("run: bft gold", "my root") == "run: bft gold --root 'my root'"
    assert rooted(rooted("run: bft gold", "my root"), "my root") == "run: bft gold --root 'my root'"


def test_server_of_a_root_is_started_with_it() -> None:
    told = "is it running? bft serve executor"
    assert rooted(told, "mine") == "is it running? bft serve --root mine executor"
    assert rooted("bft serve market-sim", "mine") == "bft serve market-sim"


def test_the_call_itself_as_of_another_day_keeps_its_words() -> None:
    words = ["pull", "--source", "files:p.csv", "--root", "mine", "--topics=bars", "--asof=X"]
    assert again(words, "2018-02-07") == (
        "bft pull --source files:p.csv --topics=bars --asof 2018-02-07"
    )
    train = ["train", "reg_3d", "--profile", "a b", "--asof", "X", "--json", "--root=r", "--debug"]
    assert again(train, "2018-02-07") == "bft train reg_3d --profile 'a b' --asof 2018-02-07"
