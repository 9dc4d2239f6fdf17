"""The executor's HTTP side: who asks, what is asked, what is answered."""
