"""What the vendor says instead of data; wordings as users have met them, keys included."""

import json

_PLANS = "https://www.alphavantage.co/premium/"
_MINUTE = (
    "Thank you for using Alpha Vantage! Please consider spreading out your free API requests more "
    f"sparingly (1 request per second). You may subscribe to any of the premium plans at {_PLANS} "
    "to lift the free key rate limit (25 requests per day), raise the per-second burst limit, and "
    "instantly unlock all premium endpoints. Key: {key}",
    "Burst pattern detected. Your request frequency is too high for key {key}; please keep to your "
    "plan's calls per minute.",
)
PREMIUM = json.dumps(
    {
        "Information": "Thank you for using Alpha Vantage! This is a premium endpoint. You may "
        f"subscribe to any of the premium plans at {_PLANS} to instantly unlock all premium "
        "endpoints"
    }
)
DEMO = json.dumps(
    {
        "Information": "The **demo** API key is for demo purposes only. Please claim your free API "
        "key at (https://www.alphavantage.co/support/#api-key) to explore our full API offerings."
    }
)
PAGE = "<!DOCTYPE html><html><head><title>Error</title></head><body>Please wait.</body></html>\n"


def minute_limit(key: str, attempt: int) -> str:
    """A minute-limit notice; its field and wording change from one attempt to the next."""
    field = ("Information", "Note")[attempt % 2]
    return json.dumps({field: _MINUTE[attempt % 2].format(key=key)})


def day_limit(key: str) -> str:
    """A day-limit notice."""
    text = (
        f"We have detected your API key as {key} and our standard API rate limit is 25 requests "
        f"per day. Please subscribe to any of the premium plans at {_PLANS} to instantly remove "
        "all daily rate limits."
    )
    return json.dumps({"Information": text})
